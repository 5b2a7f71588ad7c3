"""Tables, columns and indexes that are there, but of another kind than the migrations made."""

from opsmigrate.postgres.catalog import Column, Relation
from tests.drift.target import OWNER, VALUES, Statements, Target, quoted

# What else may stand for a type, with how to make its values of the old ones.
OTHER_TYPES = {
    "bigint": ("integer", "smallint", "numeric", "text"),
    "integer": ("bigint", "smallint", "text", "boolean"),
    "character varying": ("varchar(2)", "varchar(5000)", "char(9)", "text", "bytea", "citext"),
    "text": ("varchar(5)", "citext", "name"),
    "timestamp with time zone": ("timestamp", "date", "text"),
    "jsonb": ("json", "text"),
    "numeric": ("numeric(4,1)", "double precision", "text"),
    "boolean": ("integer", "text"),
    "uuid": ("text", "char(32)"),
    "inet": ("text",),
}


def _plain(at: Target) -> tuple[Relation, Column] | None:
    table, column = at.target()
    return None if column.identity or column.generated else (table, column)


def other_type(at: Target) -> Statements:
    """A column has another type that can hold its values."""
    if (found := _plain(at)) is None:
        return []
    table, column = found
    kind = at.random.choice(OTHER_TYPES.get(column.type.partition("(")[0], ("text",)))
    name, extension = quoted(column.name), ["CREATE EXTENSION IF NOT EXISTS citext"]
    cast = f"{name}::text::{kind}" if kind != "bytea" else f"convert_to({name}, 'UTF8')"
    return [
        *(extension if kind == "citext" else []),
        f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} DROP DEFAULT,"
        f" ALTER COLUMN {name} TYPE {kind} USING {cast}",
    ]


def enum_type(at: Target) -> Statements:
    """A column of text is an enumeration."""
    if (found := _plain(at)) is None or not found[1].type.startswith(("char", "text")):
        return []
    name = quoted(found[1].name)
    return [
        "CREATE TYPE drifted_enum AS ENUM ('x', 'drifted', '')",
        f"ALTER TABLE {quoted(found[0].name)} ALTER COLUMN {name} TYPE drifted_enum"
        f" USING {name}::drifted_enum",
    ]


def other_collation(at: Target) -> Statements:
    """A column of text is sorted in another way."""
    if (found := _plain(at)) is None or not found[1].type.startswith(("char", "text")):
        return []
    table, name, kind = quoted(found[0].name), quoted(found[1].name), found[1].type
    way = at.random.choice(['"C"', '"POSIX"', "drifted_nocase"])
    made = (
        "CREATE COLLATION drifted_nocase"
        " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    return [
        *([made] if way == "drifted_nocase" else []),
        f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind} COLLATE {way}",
    ]


def move_column(at: Target) -> Statements:
    """A column was dropped and made again, with its values and nothing else."""
    if (found := _plain(at)) is None:
        return []
    table, name = quoted(found[0].name), quoted(found[1].name)
    return [
        f"ALTER TABLE {table} ADD COLUMN drifted {found[1].type}",
        f"UPDATE {table} SET drifted = {name}",
        f"ALTER TABLE {table} DROP COLUMN {name} CASCADE",
        f"ALTER TABLE {table} RENAME COLUMN drifted TO {name}",
    ]


def computed_column(at: Target) -> Statements:
    """A column is computed where it was plain."""
    if (found := _plain(at)) is None:
        return []
    value = VALUES.get(found[1].type.partition("(")[0])
    if value is None:
        return []
    table, name = quoted(found[0].name), quoted(found[1].name)
    kind = found[1].type
    return [
        f"ALTER TABLE {table} DROP COLUMN {name} CASCADE",
        f"ALTER TABLE {table} ADD COLUMN {name} {kind} GENERATED ALWAYS AS ({value}) STORED",
    ]


def serial_key(at: Target) -> Statements:
    """A key counts by a sequence of its own, not by identity."""
    table, _ = at.target()
    for column in table.columns:
        if column.identity:
            name, key = quoted(table.name), quoted(column.name)
            return [
                f"ALTER TABLE {name} ALTER COLUMN {key} DROP IDENTITY",
                f"CREATE SEQUENCE drifted_counter OWNED BY {name}.{key}",
                f"ALTER SEQUENCE drifted_counter OWNER TO {OWNER}",
                f"SELECT setval('drifted_counter', (SELECT max({key}) FROM {name}))",
                f"ALTER TABLE {name} ALTER COLUMN {key} SET DEFAULT nextval('drifted_counter')",
            ]
    return []


def no_counter(at: Target) -> Statements:
    """A key does not count any more."""
    table, _ = at.target()
    counted = [quoted(column.name) for column in table.columns if column.identity]
    return [f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {key} DROP IDENTITY" for key in counted]


def used_up_counter(at: Target) -> Statements:
    """A key's sequence has no more numbers, or gives those that are taken."""
    table, _ = at.target()
    name = quoted(table.name)
    change = at.random.choice(["SET MAXVALUE 1 RESTART 1 SET NO CYCLE", "RESTART 1"])
    return [
        f"ALTER TABLE {name} ALTER COLUMN {quoted(column.name)} {change}"
        for column in table.columns
        if column.identity
    ]


def _free_index(at: Target) -> tuple[Relation, str, str] | None:
    table, _ = at.target()
    held = {item.name for item in table.constraints}
    free = [item for item in table.indexes if item.name not in held and item.columns[0]]
    if not free:
        return None
    chosen = at.random.choice(free)
    return table, chosen.name, chosen.columns[0]


def invalid_index(at: Target) -> Statements:
    """An index is INVALID, as CREATE INDEX CONCURRENTLY leaves it where it is stopped."""
    if (found := _free_index(at)) is None:
        return []
    return [
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{quoted(found[1])}'::regclass"
    ]


def other_index(at: Target) -> Statements:
    """An index has the name and not the shape."""
    if (found := _free_index(at)) is None:
        return []
    table, index, column = quoted(found[0].name), quoted(found[1]), quoted(found[2])
    shape = at.random.choice(
        [
            f"USING hash ({column})",
            f"({column} DESC NULLS LAST)",
            f"({column}) WHERE {column} IS NOT NULL",
            f"(({column} IS NULL))",
            f"({column}) INCLUDE ({quoted(found[0].columns[0].name)})",
            f"USING brin ({column})",
        ]
    )
    return [f"DROP INDEX {index}", f"CREATE INDEX {index} ON {table} {shape}"]


def another_unique(at: Target) -> Statements:
    """A column is unique besides, in one of the less usual ways."""
    table, column = at.names()
    shape = at.random.choice(
        [
            f"UNIQUE ({column}) DEFERRABLE INITIALLY DEFERRED",
            f"UNIQUE NULLS NOT DISTINCT ({column})",
            f"EXCLUDE USING hash ({column} WITH =)",
        ]
    )
    return [f"ALTER TABLE {table} ADD CONSTRAINT drifted_unique {shape}"]


def unvalidated_check(at: Target) -> Statements:
    """A check holds for what comes, and not for what is there."""
    table, column = at.names()
    condition = at.random.choice([f"{column} IS NULL", f"{column} IS NOT NULL", "false"])
    return [f"ALTER TABLE {table} ADD CONSTRAINT drifted_check CHECK ({condition}) NOT VALID"]


def partitioned_table(at: Target) -> Statements:
    """A table has become a partitioned one."""
    table, _ = at.target()
    key = next((item.columns for item in table.indexes if item.primary), ())
    if not key:
        return []
    name = quoted(table.name)
    return [
        f"ALTER TABLE {name} RENAME TO drifted_before",
        f"CREATE TABLE {name} (LIKE drifted_before INCLUDING ALL)"
        f" PARTITION BY HASH ({quoted(key[0])})",
        f"CREATE TABLE drifted_part PARTITION OF {name} FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM drifted_before",
        "DROP TABLE drifted_before CASCADE",
        f"ALTER TABLE {name} OWNER TO {OWNER}",
        f"ALTER TABLE drifted_part OWNER TO {OWNER}",
    ]


def inherited_table(at: Target) -> Statements:
    """A table has a child with a row of its own."""
    table, _ = at.target()
    owner = at.random.choice([OWNER, "CURRENT_USER"])
    name, insert = quoted(table.name), at.row(table, None)
    child = insert.replace(f"INTO {name}", "INTO drifted_child", 1) if insert else "SELECT 1"
    return [
        f"CREATE TABLE drifted_child (LIKE {name} INCLUDING DEFAULTS INCLUDING IDENTITY)"
        f" INHERITS ({name})",
        f"ALTER TABLE drifted_child OWNER TO {owner}",
        child,
    ]


def child_of_table(at: Target) -> Statements:
    """A table inherits a column from one that no model knows."""
    table, column = at.target()
    null = " NOT NULL" if column.not_null else ""
    return [
        f"CREATE TABLE drifted_parent ({quoted(column.name)} {column.type}{null})",
        f"ALTER TABLE {quoted(table.name)} INHERIT drifted_parent",
    ]


def view_in_place(at: Target) -> Statements:
    """A view has the name of a table, and shows it."""
    name = at.names()[0]
    return [
        f"ALTER TABLE {name} RENAME TO drifted_base",
        f"CREATE VIEW {name} AS SELECT * FROM drifted_base",
        f"ALTER VIEW {name} OWNER TO {OWNER}",
    ]


def foreign_in_place(at: Target) -> Statements:
    """A foreign table has the name of a table."""
    table, _ = at.target()
    columns = ", ".join(f"{quoted(item.name)} {item.type}" for item in table.columns)
    name = quoted(table.name)
    return [
        f"DROP TABLE {name} CASCADE",
        "CREATE FOREIGN DATA WRAPPER drifted_wrapper",
        "CREATE SERVER drifted_server FOREIGN DATA WRAPPER drifted_wrapper",
        f"CREATE FOREIGN TABLE {name} ({columns}) SERVER drifted_server",
        f"ALTER TABLE {name} OWNER TO {OWNER}",
    ]


def other_schema(at: Target) -> Statements:
    """A table is in another schema, which is looked through or not."""
    moved = f"ALTER TABLE {at.names()[0]} SET SCHEMA drifted_schema"
    role = f"ROLE {OWNER} IN DATABASE {at.database}"
    path = f"ALTER {role} SET search_path = public, drifted_schema"
    made = [f"CREATE SCHEMA drifted_schema AUTHORIZATION {OWNER}", moved]
    return [*made, path] if at.random.random() < 0.6 else made


def view_of_future_name(at: Target) -> Statements:
    """A view, materialised or not, has the name of a table that the plan makes."""
    future = [name for name in at.coming if name not in at.tables]
    kind = at.random.choice(["VIEW", "MATERIALIZED VIEW"])
    name = quoted(at.random.choice(future)) if future else ""
    return [f"CREATE {kind} {name} AS SELECT 1 AS id"] if future else []


WAYS = [
    other_type,
    enum_type,
    other_collation,
    move_column,
    computed_column,
    serial_key,
    no_counter,
    used_up_counter,
    invalid_index,
    other_index,
    another_unique,
    unvalidated_check,
    partitioned_table,
    inherited_table,
    child_of_table,
    view_in_place,
    foreign_in_place,
    other_schema,
    view_of_future_name,
]
