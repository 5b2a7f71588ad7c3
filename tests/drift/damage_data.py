"""Damage to rows."""

from opsmigrate.postgres.catalog import Relation
from tests.drift.target import Statements, Target, quoted


def null_row(at: Target) -> Statements:
    """A row holds NULL in a column, if need be in one that may not."""
    table, column = at.target()
    insert = at.row(table, column.name)
    keys = {name for item in table.indexes if item.primary for name in item.columns}
    if insert is None or column.name in keys:
        return []
    name, drop = quoted(table.name), f"ALTER COLUMN {quoted(column.name)} DROP NOT NULL"
    return [f"ALTER TABLE {name} {drop}", insert]


def twin_rows(at: Target) -> Statements:
    """Two rows are alike."""
    insert = at.row(at.target()[0], None)
    return [insert, insert] if insert else []


def _with_a_row(at: Target, table: Relation) -> Statements:
    insert = at.row(table, None)
    return [insert] if insert else []


def orphan_row(at: Target) -> Statements:
    """A row points to none, and its foreign key is gone, NOT VALID, or there all the same."""
    table, _ = at.target()
    keys = [item for item in table.constraints if item.references and len(item.columns) == 1]
    if not keys:
        return []
    key, name = at.random.choice(keys), quoted(table.name)
    column = next(item for item in table.columns if item.name == key.columns[0])
    nowhere = "gen_random_uuid()" if column.type == "uuid" else "'987654'"
    insert = at.row(table, None, {column.name: nowhere})
    known = {item.oid: item for item in at.now.relations}[key.references or 0]
    points = f"({quoted(column.name)}) REFERENCES {quoted(known.name)}"
    again = f"ALTER TABLE {name} ADD CONSTRAINT {quoted(key.name)} FOREIGN KEY {points}"
    put = [insert] if insert else [f"UPDATE {name} SET {quoted(column.name)} = {nowhere}"]
    drop = f"ALTER TABLE {name} DROP CONSTRAINT {quoted(key.name)}"
    return at.random.choice(
        [
            [drop, *put],
            [drop, *put, f"{again} DEFERRABLE INITIALLY DEFERRED NOT VALID"],
            ["SET session_replication_role = replica", *put, "RESET session_replication_role"],
        ]
    )


def odd_value(at: Target) -> Statements:
    """A row holds what hardly any row holds."""
    table, column = at.target()
    kind = column.type.partition("(")[0]
    odd = {
        "character varying": ["''", "repeat('x', 9)", "'drifted'", "'null'"],
        "text": ["''", "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 900) n)"],
        "integer": ["2147483647", "-1", "0"],
        "bigint": ["9223372036854775807", "-1", "0"],
        "numeric": ["'NaN'", "-1"],
        "jsonb": ["'null'", "'[]'", "'1'"],
        "timestamp with time zone": ["'infinity'", "'0001-01-01 BC'"],
        "date": ["'infinity'", "'0044-03-15 BC'"],
        "boolean": ["true", "false"],
    }
    if kind not in odd or column.identity or column.generated:
        return []
    value = at.random.choice(odd[kind])
    insert = at.row(table, None, {column.name: value})
    return [insert or f"UPDATE {quoted(table.name)} SET {quoted(column.name)} = {value}"]


def text_that_is_none(at: Target) -> Statements:
    """A column is text, and a row holds what its own type would not take."""
    table, column = at.target()
    insert = at.row(table, None, {column.name: "'neither here nor there'"})
    if column.identity or column.generated or insert is None:
        return []
    name, owner = quoted(column.name), quoted(table.name)
    return [
        f"ALTER TABLE {owner} ALTER COLUMN {name} DROP DEFAULT,"
        f" ALTER COLUMN {name} TYPE text USING {name}::text",
        insert,
    ]


def twins_by_case(at: Target) -> Statements:
    """Two rows differ in a column by the case of letters alone."""
    table, column = at.target()
    one, two = (at.row(table, None, {column.name: value}) for value in ("'drifT'", "'DRIFt'"))
    text = column.type.startswith(("char", "text"))
    return [one, two] if text and one and two else []


def row_in_every_table(at: Target) -> Statements:
    """A table that may have been empty has a row, and so has each that it points to."""
    table, _ = at.target()
    known = {item.oid: item for item in at.now.relations}
    parents = [known[item.references] for item in table.constraints if item.references]
    return [row for item in (*parents, table) for row in _with_a_row(at, item)]


def doubled_row(at: Target) -> Statements:
    """A unique constraint is gone, and a row stands twice."""
    table, _ = at.target()
    held = [item for item in table.constraints if item.kind in "up"]
    if not held:
        return []
    name, gone = quoted(table.name), quoted(at.random.choice(held).name)
    return [
        f"ALTER TABLE {name} DROP CONSTRAINT {gone} CASCADE",
        *_with_a_row(at, table),
        f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM {name}",
    ]


WAYS = [
    null_row,
    twin_rows,
    orphan_row,
    odd_value,
    text_that_is_none,
    twins_by_case,
    row_in_every_table,
    doubled_row,
]
