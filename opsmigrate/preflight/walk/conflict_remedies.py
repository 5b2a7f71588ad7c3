"""What to type to take out of the way what is there: steps, named as the live database names it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import former_name, quoted
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import TYPE, Simulation
from opsmigrate.sql.grammar import scan
from opsmigrate.sql.statement import NoGrammarError, NotParsedError
from opsmigrate.steps import APPLY, Step, statement

KINDS = {
    "type": "type",
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "c": "type",
    "i": "index",
    "I": "index",
    "S": "sequence",
}
BY_NAME = "queries that use its old name fail"
UNCHECKED = "until migrate has run, rows are not checked against it"
DEFINITION = "SELECT pg_get_viewdef(%s::regclass)"
# A grantee of 0 is PUBLIC (documentation of aclexplode()).
GRANTS = """
WITH given AS (
    SELECT NULL AS attname, c.relowner, (aclexplode(c.relacl)).*
    FROM pg_class c WHERE c.oid = %s::regclass
    UNION ALL
    SELECT a.attname, c.relowner, (aclexplode(a.attacl)).*
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = %s::regclass
)
SELECT g.privilege_type, g.attname, r.rolname, g.is_grantable
FROM given g LEFT JOIN pg_roles r ON r.oid = g.grantee
WHERE g.grantee <> g.relowner ORDER BY r.rolname, g.privilege_type, g.attname
"""


def set_aside(schema: Simulation, home: str, name: str, *, alternative: int = 1) -> Step:
    """Return the step that gives a relation another name; nothing in it is lost."""
    kind = KINDS.get(schema.kind_in(home, name) or TYPE, "table").upper()
    later = schema.free_name(home, name)
    return statement(
        f"ALTER {kind} {quoted(home, name)} RENAME TO {quoted(later)}",
        risk=BY_NAME,
        alternative=alternative,
    )


def set_column_aside(table: SimulatedTable, column: str) -> tuple[Step, ...]:
    """Return the steps that give a column another name; the rows that come may leave it NULL."""
    later = former_name(column, set(table.types) | set(table.origins.values()))
    rename = f"ALTER TABLE {table.live} RENAME COLUMN {table.live_column(column)} TO"
    steps = [statement(f"{rename} {quoted(later)}", risk=BY_NAME)]
    needed = column in table.not_null and column not in table.defaults | table.identities
    if needed and column not in table.keys:
        loosen = f"ALTER TABLE {table.live} ALTER COLUMN {quoted(later)} DROP NOT NULL"
        steps.append(statement(loosen))
    return tuple(steps)


def free_name(schema: Simulation, table: SimulatedTable, name: str) -> tuple[Step, ...]:
    """Return the steps that free the name of an index; where it may be needed, two ways."""
    if name in table.constraints:
        return drop_constraint(table, name, renamed=schema.free_name(table.schema, name))
    kind = KINDS.get(schema.kind_in(table.schema, name) or "i", "index")
    if kind != "index":
        return (set_aside(schema, table.schema, name),)
    drop = f"DROP INDEX {quoted(table.schema, name)}"
    if name in table.indexes and not table.indexes[name].valid:
        return (statement(drop),)
    if name in table.indexes and not table.indexes[name].unique:
        return (statement(drop), set_aside(schema, table.schema, name, alternative=2))
    return (set_aside(schema, table.schema, name),)


def drop_constraint(table: SimulatedTable, name: str, *, renamed: str) -> tuple[Step, ...]:
    """Return both ways to free the name of a constraint: without it, or under another name."""
    alter = f"ALTER TABLE {table.live}"
    return (
        statement(f"{alter} DROP CONSTRAINT {quoted(name)}", risk=UNCHECKED),
        statement(f"{alter} RENAME CONSTRAINT {quoted(name)} TO {quoted(renamed)}", alternative=2),
    )


def without_constraint(table: SimulatedTable, name: str) -> tuple[Step, ...]:
    """Return the step that drops a constraint which the plan has no use for."""
    drop = f"ALTER TABLE {table.live} DROP CONSTRAINT {quoted(name)}"
    return (statement(drop, risk="rows are no longer checked against it"),)


def without_view(
    connection: BaseDatabaseWrapper, catalog: Catalog, view: str, *, stays_valid: bool
) -> tuple[Step, ...]:
    """Return the steps that migrate without a view, and make it again where it `stays_valid`.

    `view` is as the catalog writes it: with its schema, and quoted where it must be.
    """
    kind = KINDS[kind_of(catalog, view)].upper()
    indexes = ", indexes" if " " in kind else ""
    drop = statement(f"DROP {kind} {view}", risk=f"its grants{indexes} and comments go with it")
    definition = one_line(_definition(connection, view))
    if not stays_valid or definition is None:
        return (drop,)
    again = statement(f"CREATE {kind} {view} AS {definition}")
    drop = replace(drop, risk=f"its {'indexes and ' if indexes else ''}comments go with it")
    return (drop, *APPLY, again, *_granted(connection, view))


def _granted(connection: BaseDatabaseWrapper, view: str) -> Iterator[Step]:
    """Yield what gives the rights on a view again to those who have them."""
    with connection.cursor() as cursor:
        cursor.execute(GRANTS, [view, view])
        for privilege, column, role, grantable in cursor.fetchall():
            what = f"{privilege} ({quoted(column)})" if column else privilege
            whom = quoted(role) if role else "PUBLIC"
            option = " WITH GRANT OPTION" if grantable else ""
            yield statement(f"GRANT {what} ON {view} TO {whom}{option}")


def kind_of(catalog: Catalog, view: str) -> str:
    """Return pg_class.relkind of a view, by its name as the catalog writes it."""
    schema, _, name = view.replace('"', "").partition(".")
    return catalog.kinds.get((schema, name), "v")


def _definition(connection: BaseDatabaseWrapper, view: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(DEFINITION, [view])
        return str(cursor.fetchone()[0]).rstrip("; \n")


def one_line(text: str) -> str | None:
    """Return SQL on one line; None where a text in it goes over several, or it cannot be read."""
    try:
        words = [token.text for token in scan(text)]
    except (NotParsedError, NoGrammarError):
        return None
    if any("\n" in word for word in words):
        return None
    line, rest = "", text
    for word in words:
        before, _, rest = rest.partition(word)
        line += f" {word}" if before[-1:].isspace() else word
    return line.strip()
