"""Damage to tables, columns, constraints and indexes."""

from opsmigrate.postgres.catalog import Column, Relation
from tests.drift.target import VALUES, Statements, Target, quoted


def drop_table(at: Target) -> Statements:
    """A table is gone."""
    return [f"DROP TABLE {at.names()[0]} CASCADE"]


def rename_table(at: Target) -> Statements:
    """A table has another name."""
    return [f"ALTER TABLE {at.names()[0]} RENAME TO drifted_table"]


def drop_column(at: Target) -> Statements:
    """A column is gone."""
    table, column = at.names()
    return [f"ALTER TABLE {table} DROP COLUMN {column} CASCADE"]


def rename_column(at: Target) -> Statements:
    """A column has another name."""
    table, column = at.names()
    return [f"ALTER TABLE {table} RENAME COLUMN {column} TO drifted"]


def retype_column(at: Target) -> Statements:
    """A column has become another type."""
    table, column = at.target()
    if column.identity or column.generated:
        return []
    name, kind = quoted(column.name), at.random.choice(["text", "json", "varchar(3)"])
    value = f"to_json({name})" if kind == "json" else f"{name}::text"
    return [
        f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} DROP DEFAULT,"
        f" ALTER COLUMN {name} TYPE {kind} USING {value}"
    ]


def domain_column(at: Target) -> Statements:
    """A column has a domain over its type."""
    table, column = at.target()
    if column.identity or column.generated:
        return []
    name = quoted(column.name)
    return [
        f"CREATE DOMAIN drifted_domain AS {column.type}",
        f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} TYPE drifted_domain",
    ]


def drop_constraint(at: Target) -> Statements:
    """A constraint is gone."""
    table, _ = at.target()
    if not table.constraints:
        return []
    constraint = quoted(at.random.choice(table.constraints).name)
    return [f"ALTER TABLE {quoted(table.name)} DROP CONSTRAINT {constraint} CASCADE"]


def rename_constraint(at: Target) -> Statements:
    """A constraint has another name."""
    table, _ = at.target()
    if not table.constraints:
        return []
    constraint = quoted(at.random.choice(table.constraints).name)
    name = quoted(table.name)
    return [f"ALTER TABLE {name} RENAME CONSTRAINT {constraint} TO drifted_constraint"]


def drop_index(at: Target) -> Statements:
    """An index that no constraint rests on is gone."""
    table, _ = at.target()
    held = {item.name for item in table.constraints}
    free = [item.name for item in table.indexes if item.name not in held]
    return [f"DROP INDEX {quoted(at.random.choice(free))}"] if free else []


def _nullable(at: Target) -> tuple[Relation, Column] | None:
    table, column = at.target()
    keys = {name for item in table.indexes if item.primary for name in item.columns}
    return None if column.name in keys or not column.not_null else (table, column)


def null_column(at: Target) -> Statements:
    """A column may be NULL that may not."""
    chosen = _nullable(at)
    if chosen is None:
        return []
    table, column = quoted(chosen[0].name), quoted(chosen[1].name)
    return [f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"]


def create_future_table(at: Target) -> Statements:
    """A table that the plan makes is there."""
    future = [name for name in at.coming if name not in at.tables]
    return [f"CREATE TABLE {quoted(at.random.choice(future))} (id bigint)"] if future else []


def create_future_column(at: Target) -> Statements:
    """A column that a later migration adds is there."""
    met = {table.name for table, _ in at.met}
    future = [
        (item.name, column)
        for item in at.later.relations
        if item.name in (met or at.tables)
        for column in item.columns
        if column.name not in {known.name for known in at.tables[item.name].columns}
    ]
    if not future:
        return []
    table, column = at.random.choice(future)
    return [f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.name)} {column.type}"]


def take_future_name(at: Target) -> Statements:
    """A name that a later index or table needs belongs to a sequence."""
    names = {item.name for item in at.now.relations}
    future = [
        item
        for item in at.later.relations
        if item.name not in names and (item.kind == "i" or item.name in at.coming)
    ]
    near = [item for item in future if any(t.name in item.name for t, _ in at.met)]
    return [f"CREATE SEQUENCE {quoted(at.random.choice(near or future).name)}"] if future else []


def type_of_future_name(at: Target) -> Statements:
    """A type has the name of a table that the plan makes."""
    future = [name for name in at.coming if name not in at.tables]
    name = quoted(at.random.choice(future)) if future else ""
    return [f"CREATE TYPE {name} AS ENUM ('a')"] if future else []


def default_on_column(at: Target) -> Statements:
    """A column has a default that no model knows."""
    table, column = at.target()
    value = VALUES.get(column.type.partition("(")[0])
    if value is None or column.identity or column.generated:
        return []
    name = quoted(column.name)
    return [f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} SET DEFAULT {value}"]


def unlog_table(at: Target) -> Statements:
    """A table is not logged."""
    return [f"ALTER TABLE {at.names()[0]} SET UNLOGGED"]


def add_unknown_column(at: Target) -> Statements:
    """A table has a column that nobody knows, and that wants a value."""
    table = at.names()[0]
    return [
        f"ALTER TABLE {table} ADD COLUMN unknown int NOT NULL DEFAULT 0",
        f"ALTER TABLE {table} ALTER COLUMN unknown DROP DEFAULT",
    ]


WAYS = [
    drop_table,
    rename_table,
    drop_column,
    rename_column,
    retype_column,
    domain_column,
    drop_constraint,
    rename_constraint,
    drop_index,
    null_column,
    create_future_table,
    create_future_column,
    take_future_name,
    type_of_future_name,
    default_on_column,
    unlog_table,
    add_unknown_column,
]
