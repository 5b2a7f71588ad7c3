"""SQL as Django's own schema editor writes it, for tables that are named with their schemas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from django.db.models import Field, Model

from opsmigrate.schema.claims import ClaimedIndex
from opsmigrate.schema.remedies.drift_case import DriftCase


@contextmanager
def editing(case: DriftCase) -> Iterator[Any]:
    """Yield an editor that executes nothing, while the model and those it points to have a schema.

    So what is typed does not rest on the search_path of whoever types it.
    """
    named: dict[type[Model], str] = {}
    field: Any
    for field in case.model._meta.local_concrete_fields:
        if field.is_relation:
            target = field.target_field.model
            named[target] = target._meta.db_table
    named[case.model] = case.model._meta.db_table
    for model, db_table in named.items():
        table = case.live.find(db_table)
        place = (table.schema, table.name) if table else case.live.schema_and_name(db_table)
        # Django takes this for a name that is quoted already (utils.split_identifier).
        model._meta.db_table = '"{}"."{}"'.format(*place)
    try:
        with case.connection.schema_editor(collect_sql=True, atomic=False) as editor:
            yield editor
    finally:
        for model, db_table in named.items():
            model._meta.db_table = db_table


def filled(case: DriftCase, text: str, params: Sequence[Any]) -> str:
    """Return SQL with its values written into it."""
    operations: Any = case.connection.ops
    return str(operations.compose_sql(text, params)) if params else str(text)


def column_definition(
    case: DriftCase, editor: Any, field: Field[Any, Any], *, nullable: bool, default: bool
) -> str:
    """Return type, collation, default and NOT NULL; what needs an index is left out."""
    plain: Any = copy(field)
    plain.primary_key = plain._unique = False
    plain.null = plain.null or nullable
    definition = filled(case, *editor.column_sql(case.model, plain, include_default=default))
    # As add_field() does with identity columns.
    suffix = field.db_type_suffix(case.connection)
    return f"{definition} {suffix}" if suffix else definition


def default_of(case: DriftCase, editor: Any, field: Any) -> str | None:
    """Return what the field gives a row that has nothing for it; None where code decides.

    A database default, else a default that is a value, else the empty text that may be left blank.
    """
    if field.has_db_default():
        return filled(case, *editor.db_default_sql(field))
    if not is_constant(field):
        return None
    return filled(case, editor._column_default_sql(field), [editor.effective_default(field)])


def is_constant(field: Any) -> bool:
    """Return whether the field's default is the same for all rows, and not computed by code."""
    if field.has_default():
        return not callable(field.default) and field.default is not None
    return bool(field.blank and field.empty_strings_allowed and not field.null)


def index_statement(
    case: DriftCase, editor: Any, index: ClaimedIndex, *, concurrently: bool
) -> str:
    """Return CREATE INDEX for what db_index of a field, or index_together, asks for."""
    fields = [case.field(column) for column in index.columns]
    given: dict[str, Any] = {}
    if index.like:
        type_ = str(fields[0].db_type(case.connection))
        text = "text" if type_.startswith("text") else "varchar"
        given = {"suffix": "_like", "opclasses": [f"{text}_pattern_ops"]}
    elif len(fields) > 1:
        given = {"suffix": "_idx"}
    return str(
        editor._create_index_sql(case.model, fields=fields, concurrently=concurrently, **given)
    )
