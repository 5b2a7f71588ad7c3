"""What can be done about rows that contradict what is to be made, before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.names import former_name, quoted
from opsmigrate.postgres.transaction import transaction
from opsmigrate.schema.kept import keeping, keeps_whole_rows, pointing
from opsmigrate.schema.remedies.drift_case import DriftCase
from opsmigrate.schema.remedies.rows import LIMITS, TIMEOUT, has_rows_where
from opsmigrate.steps import Step

SAID = (
    "only who knows the rows can say what is right. Where it does not matter, type one of the ways "
    "below: they keep the rows as they were in another table"
)


def first(
    case: DriftCase,
    rows: str,
    then: Sequence[Step],
    *,
    named: str = "these rows",
    emptied: Sequence[str] = (),
) -> tuple[Step, ...]:
    """Return the steps of each way about the `rows`, a condition in SQL, and what comes `then`.

    NULL in one of the columns `emptied` is a way out. Where no row is known to be bad, or nothing
    can be done about it, there is only what comes.
    """
    relation, catalog = case.relation, case.live.catalog
    may = relation.owned and relation.schema in catalog.creatable
    if not may or not has_rows_where(case.connection, relation, rows):
        return tuple(then)
    ways = list(_ways(case, rows, named, emptied))
    taken = {item.name for item in catalog.relations if item.schema == relation.schema}
    # Another drift of the table may keep rows too.
    about = f"{relation.name}_{case.drift.column or case.drift.name}"
    kept = quoted(relation.schema, former_name(about, taken, ending="_kept"))
    return tuple(
        step
        for number, (change, risk) in enumerate(ways, start=1)
        for step in (
            *keeping(change, table=case.where, rows=rows, kept=kept, risk=risk, alternative=number),
            *(replace(step, alternative=number) for step in then),
        )
    ) or tuple(then)


def _ways(
    case: DriftCase, rows: str, named: str, emptied: Sequence[str]
) -> Iterator[tuple[str, str]]:
    nullable = {
        item.name for item in case.relation.columns if not (item.not_null or item.generated)
    }
    name = next((quoted(each) for each in emptied if each in nullable), None)
    if name is not None:
        yield f"UPDATE {case.where} SET {name} = NULL", f"loses {name} of {named}"
    if not keeps_whole_rows(case.connection, case.relation):
        return
    try:
        with transaction(case.connection, "READ ONLY") as cursor:
            cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
            relations = case.live.catalog.relations
            if not pointing(cursor, relations, case.relation, sql.SQL(rows)):
                yield f"DELETE FROM {case.where}", f"loses {named}"
    except Error:
        return


def all_but_first(case: DriftCase, columns: Sequence[str], *, nulls_distinct: bool = True) -> str:
    """Return the condition of rows that have the same in `columns` as one before them."""
    relation = case.relation
    primary = next((item.columns for item in relation.constraints if item.kind == "p"), ())
    key = case.columns_of(primary) or "tableoid, ctid"
    given = "".join(f" AND {quoted(name)} IS NOT NULL" for name in columns if nulls_distinct)
    return (
        f"({key}) IN (SELECT {key} FROM (SELECT {key}, row_number() OVER ("
        f"PARTITION BY {case.columns_of(columns)} ORDER BY {key}) AS number"
        f" FROM {case.where} WHERE true{given}) AS same WHERE number > 1)"
    )
