"""Whether rows to insert satisfy what checks and policies say, by asking the server about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.rows_to_insert import Later, NewRows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK
from opsmigrate.preflight.walk.unique_rejections import uncut
from opsmigrate.steps import Step, statement

# Before PostgreSQL 18 there is no conenforced, and every check is.
CHECKS = """
SELECT k.conname, pg_get_expr(k.conbin, k.conrelid),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
FROM pg_constraint k
WHERE k.conrelid = %s AND k.contype = 'c'
    AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY 1
"""
# Those for INSERT and for all commands; without WITH CHECK, USING holds for new rows too.
POLICIES = """
SELECT p.polpermissive,
       coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid), 'true')
FROM pg_policy p
WHERE p.polrelid = %s AND p.polcmd IN ('a', '*')
    AND EXISTS (SELECT FROM unnest(p.polroles) AS held (role)
                WHERE held.role = 0 OR pg_has_role(current_user, held.role, 'USAGE'))
ORDER BY p.polname
"""


def of_checks(
    connection: BaseDatabaseWrapper, new: NewRows, oid: int, *, trusted: bool
) -> Iterator[Rejection]:
    """Yield the checks that refuse a row, or of which that is not known."""
    table = new.table
    live = {
        name: (text, columns) for name, text, columns in seen_by_project(connection, CHECKS, [oid])
    }
    for name, (kind, _) in table.constraints.items():
        if kind != CHECK:
            continue
        text, columns = live.get(name, (None, ()))
        refused = None
        if text is not None and trusted and _known(new, columns):
            refused = _refused(connection, new, text, columns)
        if refused is None:
            yield Rejection(f"whether new rows of {table.label} suit {name}", certain=False)
        elif refused >= 0:
            drop = f"ALTER TABLE {table.live} DROP CONSTRAINT {quoted(name)}"
            yield Rejection(
                f"the check {name} refuses {_words(new, refused)}: CHECK ({text})",
                hint="make the check accept what Django writes",
                steps=(statement(drop, risk="its rows are no longer checked"),),
                row=refused,
            )


def of_row_security(
    walk: SchemaWalk, new: NewRows, relation: Relation, *, trusted: bool
) -> Rejection:
    """Return what row security says of the rows: a certain no, or that it is not known.

    A row needs one permissive policy that says true, and each restrictive one (documentation,
    CREATE POLICY). Where all say so, a policy for SELECT may still refuse INSERT … RETURNING.
    """
    table = new.table
    allowing: list[str] = []
    restricting: list[str] = []
    for is_permissive, text in seen_by_project(walk.connection, POLICIES, [relation.oid]):
        (allowing if is_permissive else restricting).append(f"({text})")
    words = f"the row security of {table.label}"
    forced: tuple[Step, ...] = ()
    if relation.owner == walk.catalog.role:
        alter = f"ALTER TABLE {table.live} NO FORCE ROW LEVEL SECURITY"
        forced = (statement(alter, risk="its owner sees and writes every row again"),)
    if not allowing:
        return Rejection(
            f"{words} has no policy by which the role may insert",
            hint="let the role insert, or migrate as a role that row security does not hold for",
            steps=forced,
        )
    columns = [
        each for each in new.columns if _known(new, [each]) and not set(new.values(each)) & {None}
    ]
    passes = " AND ".join([f"({' OR '.join(allowing)})", *restricting])
    refused = None
    if trusted and columns:
        refused = _refused(walk.connection, new, f"coalesce({passes}, false)", columns)
    if refused is None or refused < 0:
        return Rejection(f"what {words} lets in", certain=False)
    return Rejection(
        f"{words} refuses {_words(new, refused)}: {passes}",
        hint="let the policies accept it, or migrate as a role that they do not hold for",
        steps=forced,
        row=refused,
    )


def _known(new: NewRows, columns: Sequence[str]) -> bool:
    """Return whether all values of the columns are known, under the names that they have now."""
    return all(
        column in new.columns
        and new.table.origins.get(column) == column
        and not any(isinstance(value, Later) for value in new.values(column))
        for column in columns
    )


def _words(new: NewRows, place: int) -> str:
    known = [str(value) for value in new.rows[place] if not isinstance(value, Later)]
    return ", ".join(known)


def _refused(
    connection: BaseDatabaseWrapper, new: NewRows, text: str, columns: Sequence[str]
) -> int | None:
    """Return the place of the first row that a check refuses, -1 for none, None if not known."""
    names = [sql.Identifier(column) for column in columns]
    given = [
        sql.SQL("{}::{} AS {}").format(name, sql.SQL(uncut(new.table.types[column])), name)
        for name, column in zip(names, columns, strict=True)
    ]
    query = sql.SQL(
        "SELECT pg_catalog.min(the_place) FROM (SELECT the_place, {given} FROM ROWS FROM ({arrays})"
        " WITH ORDINALITY AS given({names}, the_place)) AS {table} WHERE NOT ({check})"
    ).format(
        given=sql.SQL(", ").join(given),
        arrays=sql.SQL(", ").join(
            sql.SQL("pg_catalog.unnest({}::pg_catalog.text[])").format(
                sql.Literal([str(value) for value in new.values(column)])
            )
            for column in columns
        ),
        names=sql.SQL(", ").join(names),
        table=sql.Identifier(new.table.name),
        check=sql.SQL(text),
    )
    try:
        with transaction_as_project(connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            cursor.execute(query)
            found = cursor.fetchone()[0]
    except Error:
        return None
    return -1 if found is None else int(found) - 1
