"""What nobody's migrations made, and what hangs on their tables."""

from tests.drift.target import Statements, Target, quoted


def view_on_column(at: Target) -> Statements:
    """A view uses a column."""
    table, column = at.names()
    return [f"CREATE VIEW drifted_view AS SELECT {column} FROM {table}"]


def generated_from_column(at: Target) -> Statements:
    """A generated column uses a column."""
    table, column = at.names()
    return [
        f"ALTER TABLE {table} ADD COLUMN drifted_twin boolean"
        f" GENERATED ALWAYS AS ({column} IS NULL) STORED"
    ]


def policy_on_column(at: Target) -> Statements:
    """A policy of row security uses a column."""
    table, column = at.names()
    return [f"CREATE POLICY drifted ON {table} USING ({column} IS NOT NULL)"]


def trigger_on_column(at: Target) -> Statements:
    """A trigger waits for updates of a column, and does nothing."""
    table, column = at.names()
    return [
        "CREATE FUNCTION drifted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        f"CREATE TRIGGER drifted BEFORE UPDATE OF {column} ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION drifted()",
    ]


def foreign_key_from_elsewhere(at: Target) -> Statements:
    """A table that no model knows points to a key."""
    table, _ = at.target()
    keys = [
        item
        for item in table.indexes
        if item.unique and not item.partial and len(item.columns) == 1
    ]
    if not keys:
        return []
    [name] = at.random.choice(keys).columns
    kind = next(item.type for item in table.columns if item.name == name)
    target = f"{quoted(table.name)} ({quoted(name)})"
    return [f"CREATE TABLE drifted_elsewhere (other {kind} REFERENCES {target})"]


def materialised_view(at: Target) -> Statements:
    """A materialised view uses a column."""
    table, column = at.names()
    return [f"CREATE MATERIALIZED VIEW drifted_kept AS SELECT {column} FROM {table}"]


def rule_on_table(at: Target) -> Statements:
    """A rule does something else than what was asked for, or besides."""
    table, column = at.names()
    rule = at.random.choice(
        [
            f"ON INSERT TO {table} DO INSTEAD NOTHING",
            f"ON UPDATE TO {table} DO INSTEAD NOTHING",
            f"ON DELETE TO {table} DO ALSO NOTHING",
            f"ON UPDATE TO {table} WHERE OLD.{column} IS NULL DO INSTEAD NOTHING",
        ]
    )
    return [f"CREATE RULE drifted_rule AS {rule}"]


def statistics_on_columns(at: Target) -> Statements:
    """The planner is to watch two columns together."""
    table, _ = at.target()
    names = [quoted(item.name) for item in table.columns]
    if len(names) < 2:
        return []
    chosen = ", ".join(at.random.sample(names, 2))
    return [f"CREATE STATISTICS drifted_statistics ON {chosen} FROM {quoted(table.name)}"]


def publication(at: Target) -> Statements:
    """A table is published, with or without what tells its rows apart."""
    table, column = at.names()
    what = at.random.choice(
        [f"TABLE {table}", "ALL TABLES", f"TABLE {table} WHERE ({column} IS NOT NULL)"]
    )
    identity = at.random.choice(["DEFAULT", "NOTHING", "FULL"])
    return [
        f"CREATE PUBLICATION drifted_publication FOR {what}",
        f"ALTER TABLE {table} REPLICA IDENTITY {identity}",
    ]


def meddling_trigger(at: Target) -> Statements:
    """A trigger refuses, swallows or changes rows."""
    table, column = at.names()
    deed = at.random.choice(
        ["RAISE EXCEPTION ''drifted'';", "RETURN NULL;", f"NEW.{column} := NULL; RETURN NEW;"]
    )
    event = at.random.choice(["INSERT", "UPDATE", "INSERT OR UPDATE"])
    return [
        "CREATE FUNCTION drifted_meddling() RETURNS trigger LANGUAGE plpgsql AS"
        f" 'BEGIN {deed} END'",
        f"CREATE TRIGGER drifted_meddling BEFORE {event} ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION drifted_meddling()",
    ]


def trigger_when_column(at: Target) -> Statements:
    """A trigger's condition uses a column."""
    table, column = at.names()
    return [
        "CREATE FUNCTION drifted_when() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NULL; END'",
        f"CREATE TRIGGER drifted_when AFTER UPDATE ON {table} FOR EACH ROW"
        f" WHEN (OLD.{column} IS NULL) EXECUTE FUNCTION drifted_when()",
    ]


def event_trigger(at: Target) -> Statements:
    """A trigger refuses changes of the schema, or lets them be."""
    event = at.random.choice(["ddl_command_start", "ddl_command_end", "sql_drop", "table_rewrite"])
    deed = at.random.choice(["RAISE EXCEPTION ''drifted'';", "NULL;"])
    return [
        "CREATE FUNCTION drifted_event() RETURNS event_trigger LANGUAGE plpgsql AS"
        f" 'BEGIN {deed} END'",
        f"CREATE EVENT TRIGGER drifted_event ON {event} EXECUTE FUNCTION drifted_event()",
    ]


def row_of_table(at: Target) -> Statements:
    """A column elsewhere holds whole rows of a table."""
    return [f"CREATE TABLE drifted_rows (whole {at.names()[0]})"]


def function_on_column(at: Target) -> Statements:
    """A function is written of a column, and knows so."""
    table, column = at.names()
    return [
        "CREATE FUNCTION drifted_function() RETURNS bigint LANGUAGE sql"
        f" BEGIN ATOMIC SELECT count({column}) FROM {table}; END"
    ]


def function_of_row(at: Target) -> Statements:
    """A function takes a row of a table."""
    return [
        f"CREATE FUNCTION drifted_of_row({at.names()[0]}) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ]


WAYS = [
    view_on_column,
    generated_from_column,
    policy_on_column,
    trigger_on_column,
    foreign_key_from_elsewhere,
    materialised_view,
    rule_on_table,
    statistics_on_columns,
    publication,
    meddling_trigger,
    trigger_when_column,
    event_trigger,
    row_of_table,
    function_on_column,
    function_of_row,
]
