"""What to type where a table is gone, or belongs to another role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.names import quoted
from opsmigrate.schema.remedies.ddl import editing, filled
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.steps import Step, statement

KINDS = {"v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}
EMPTY = "the table is empty"


def table_remedy(case: DriftCase) -> Remedy:
    """Return what makes the table anew, empty, as the applied migrations describe it."""
    steps: list[Step] = []
    if case.table is not None:
        kind = KINDS.get(case.table.kind)
        if kind is None:
            return Remedy("another object has the name of the table: rename that first")
        former = case.live.unused(case.table.schema, f"{case.table.name}_former")
        steps = [statement(f"ALTER {kind} {case.where} RENAME TO {quoted(former)}")]
        hint = (
            f"decide: a {kind.lower()} that was put there on purpose belongs in a migration "
            "(SeparateDatabaseAndState, with managed = False in the state); otherwise rename it, "
            "and create the table"
        )
    else:
        hint = (
            "decide: restore the table with its rows from a backup (python manage.py backup_db "
            "--list); or create it as the applied migrations describe it"
        )
        columns = {column.name for column in case.claimed.columns}
        alike = [
            item for item in case.unclaimed if {column.name for column in item.columns} == columns
        ]
        if alike:
            return _renamed(case, alike)
    return Remedy(hint, (*steps, *_made(case)))


def _renamed(case: DriftCase, alike: list[Relation]) -> Remedy:
    """Return a RENAME of each table that it may be, and last what makes it, without its rows."""
    schema, name = case.live.schema_and_name(case.claimed.db_table)
    steps = []
    for number, item in enumerate(alike, 1):
        where = quoted(item.schema, item.name)
        rename = statement(f"ALTER TABLE {where} RENAME TO {quoted(name)}", alternative=number)
        steps.append(rename)
        if item.schema != schema:
            where = quoted(item.schema, name)
            move = f"ALTER TABLE {where} SET SCHEMA {quoted(schema)}"
            steps.append(statement(move, alternative=number))
    made = (replace(step, alternative=len(alike) + 1) for step in _made(case))
    names = " or ".join(item.label for item in alike)
    return Remedy(
        f"decide: it may be {names} under another name, which no model has and which already has "
        "its columns; then rename it. Otherwise create it as the applied migrations describe it",
        (*steps, *made),
    )


def _made(case: DriftCase) -> Iterator[Step]:
    with editing(case) as editor:
        create = filled(case, *editor.table_sql(case.model))
        later = [*editor.deferred_sql, *editor._model_indexes_sql(case.model)]
        editor.deferred_sql.clear()
        texts = [str(text) for text in later if text is not None]
    yield statement(create, risk=EMPTY)
    yield from map(statement, texts)


def owner_remedy(case: DriftCase) -> Remedy:
    """Return what gives the table to the owner of django_migrations; the other keeps its use."""
    owner, former = case.live.owner, case.relation.owner
    assert owner is not None  # noqa: S101 - else there is nothing to compare with
    return Remedy(
        f"a superuser types this, or {former} if it may become {owner}; {former} can still use "
        "the table",
        (
            case.alter(f"OWNER TO {quoted(owner)}"),
            statement(f"GRANT ALL ON TABLE {case.where} TO {quoted(former)}"),
        ),
    )
