"""An index that is missing may be there under another name; else it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan, state_before
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.report import Finding
from opsmigrate.steps import Step, statement


def note_renamed_indexes(
    connection: BaseDatabaseWrapper, catalog: Catalog, plan: Plan, ledger: Ledger
) -> None:
    """Give steps to the findings on missing indexes that have none."""
    for finding in ledger.findings:
        if finding.id == "missing-index" and not finding.steps:
            found = _index(connection, catalog, _models(state_before(plan)), finding)
            if found is not None:
                hint, step = found
                ledger.replace(finding, replace(finding, hint=hint, steps=(step,)))


def _models(state: ProjectState) -> Iterator[Any]:
    for model in state.apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield model


def _index(
    connection: BaseDatabaseWrapper, catalog: Catalog, models: Iterable[Any], finding: Finding
) -> tuple[str, Step] | None:
    """Return the step that renames the one index which stands for it, or makes it."""
    name = finding.evidence.get("name")
    relation = next((each for each in catalog.relations if each.label == finding.table), None)
    for model in models:
        for index in model._meta.indexes:
            if relation is not None and as_stored(index.name) == name:
                claimed = {as_stored(each.name) for each in model._meta.indexes}
                alike = list(_alike(relation, model, index, claimed))
                if len(alike) == 1:
                    rename = f"ALTER INDEX {quoted(relation.schema, alike[0])}"
                    hint = f"{alike[0]} is on the same columns: if it is the same index, rename it"
                    return hint, statement(f"{rename} RENAME TO {quoted(index.name)}")
                with connection.schema_editor(collect_sql=True, atomic=False) as editor:
                    make = str(index.create_sql(model, editor))
                hint = "create it as the applied migrations describe it"
                return hint, statement(make, risk="writers wait until it is built")
    return None


def _alike(relation: Relation, model: Any, index: Any, claimed: set[str]) -> Iterator[str]:
    names = [name for name, _ in index.fields_orders]
    columns = tuple(column_of(model._meta.get_field(name)) for name in names)
    for live in relation.indexes:
        same = columns and live.columns == columns and not (live.partial or live.unique)
        if same and live.valid and live.name not in claimed and index.condition is None:
            yield live.name
