"""The models from before the plan, used on the migrated copy as the old release uses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.db import Error, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Field, Model, QuerySet

from opsmigrate.postgres.driver_errors import (
    INSUFFICIENT_PRIVILEGE,
    first_line,
    said_besides,
    sqlstate,
)
from opsmigrate.preflight.rehearsal.plain_values import plain_row
from opsmigrate.preflight.walk.fields import is_auto
from opsmigrate.schema.applied import applied_state, models_of

# As a whole, and for a statement: some rows may be reached by many others.
SECONDS, SECONDS_PER_STATEMENT = 60, 5
# Syntax error or access rule violation, and not_null_violation (documentation, PostgreSQL Error
# Codes): of the schema and not of the values, whatever row it is.
OF_THE_SCHEMA = ("42", "23502")
# Of a row that stands in the table as it is: check_violation, string too long, out of range, cast.
OF_ITS_OWN_ROW = ("23514", "22001", "22003", "22P02")
# Of code that runs by itself, and of views: raised, not supported, cannot be written, not let
# through. They are the plan's where it has changed what a table does by itself.
OF_WHAT_RUNS = ("P0", "0A000", "55000", "44000")
WHAT_RUNS = """
SELECT c.relkind, (
    SELECT string_agg(
        concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid), p.prosrc), '' ORDER BY t.tgname
    )
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
), (
    SELECT string_agg(pg_get_ruledef(r.oid), '' ORDER BY r.rulename)
    FROM pg_rewrite r WHERE r.ev_class = c.oid
) FROM pg_class c WHERE c.oid = to_regclass(%s)
"""

# There the server shows the row, which is nobody's business.
DETAIL = "; DETAIL:"


class OldModels:
    """The models of the applied migrations, as far as their tables can be read before the plan."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        """Take them before `migrate` runs; none where they cannot be had."""
        self._connection = connection
        try:
            models = models_of(applied_state(MigrationExecutor(connection)))
            self._models = [model for model in models if self._is_readable(model)]
            self._ran = {model: self._what_runs(model) for model in self._models}
        except Exception:  # migration files raise anything, and migrate will raise it too
            self._models = []

    def _is_readable(self, model: type[Model]) -> bool:
        alias = self._connection.alias
        if not router.allow_migrate_model(alias, model):
            return False
        try:
            # It reads no row, and calls no function of a view.
            with transaction.atomic(using=alias):
                self._all(model).explain()
        except Error:
            return False
        return True

    def _what_runs(self, model: type[Model]) -> object:
        """Return the kind of its table, with its triggers and rules."""
        with self._connection.cursor() as cursor:
            cursor.execute(WHAT_RUNS, [self._connection.ops.quote_name(model._meta.db_table)])
            return cursor.fetchone()

    def used_within(self, seconds: float) -> dict[str, Any]:
        """Return the statements that each model was used with, and those that failed.

        Each is rolled back. `seconds` is how much time there is.
        """
        until = time.monotonic() + min(seconds, SECONDS)
        used: dict[str, list[str]] = {}
        failures: list[dict[str, Any]] = []
        for model in self._models:
            if time.monotonic() > until:
                break
            label = model._meta.label
            for does, failure in self._use(model):
                used.setdefault(label, []).append(does)
                if failure is not None:
                    failures.append({"model": label, "does": does, **failure})
        return {"used": used, "failures": failures}

    def _use(self, model: type[Model]) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Yield what was done with a model, and what PostgreSQL said where that failed."""
        found: list[Any] = []
        yield from self._try("SELECT", lambda: found.extend(self._all(model)[:1]), OF_THE_SCHEMA)
        if not model._meta.managed:
            return
        states: tuple[str, ...] = OF_THE_SCHEMA + (OF_ITS_OWN_ROW if found else ())
        if self._what_runs(model) != self._ran[model]:
            states += OF_WHAT_RUNS
        row = found[0] if found else plain_row(model, self._connection)
        if row is None:
            return
        one = self._all(model).filter(pk=row.pk)
        yield from self._try("INSERT", lambda: self._insert(model, row, one), states)
        yield from self._try("UPDATE", lambda: self._update(model, row, one), states)
        yield from self._try("DELETE", lambda: one._raw_delete(self._connection.alias), states)

    def _try(
        self, does: str, run: Callable[[], object], states: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, Any] | None]]:
        alias = self._connection.alias
        try:
            with transaction.atomic(using=alias):
                with self._connection.cursor() as cursor:
                    for name in ("statement_timeout", "lock_timeout"):
                        cursor.execute(f"SET LOCAL {name} = '{SECONDS_PER_STATEMENT}s'")
                run()
                transaction.set_rollback(True, using=alias)
        except Error as error:
            state = sqlstate(error) or ""
            if state.startswith(states) and state != INSUFFICIENT_PRIVILEGE:
                words = first_line(error).partition(DETAIL)[0]
                yield does, {"words": words, "sqlstate": state, **said_besides(error)}
        except Exception:
            # A field of the project's own may do anything: that says nothing of the schema.
            return
        else:
            yield does, None

    def _all(self, model: type[Model]) -> Any:
        return QuerySet(model=model, using=self._connection.alias).order_by()

    def _insert(self, model: type[Model], row: Any, one: Any) -> None:
        """INSERT the row, or in place of it one that is the same."""
        alias = self._connection.alias
        with suppress(Error), transaction.atomic(using=alias):
            one._raw_delete(alias)
        # The database counts, and gives its own defaults, as where the old release names none.
        fields = [field for field in _fields(model) if not is_auto(field)]
        values = {
            field.attname: field.get_default()
            if field.has_db_default()
            else getattr(row, field.attname)
            for field in fields
        }
        self._all(model)._insert(
            [model(**values)],
            fields=fields,
            returning_fields=model._meta.db_returning_fields,
            using=alias,
            raw=True,
        )

    def _update(self, model: type[Model], row: Any, one: Any) -> None:
        values = [
            (field, None, getattr(row, field.attname))
            for field in _fields(model)
            if not field.primary_key
        ]
        if values:
            one._update(values)


def _fields(model: type[Model]) -> list[Field[Any, Any]]:
    return [field for field in model._meta.local_concrete_fields if not field.generated]
