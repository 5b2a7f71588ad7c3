"""Django's own schema editor, made to say what it would do instead of doing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.models import BaseConstraint, CheckConstraint, Field, Index, Model

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.names import is_qualified
from opsmigrate.preflight.walk.altering import alter_null, alter_type, rename_column
from opsmigrate.preflight.walk.checks_of_new_tables import new_check_fits
from opsmigrate.preflight.walk.code_effects import effect_of_sql
from opsmigrate.preflight.walk.collations import is_deterministic
from opsmigrate.preflight.walk.columns import add_column, drop_column
from opsmigrate.preflight.walk.constraints import note_left_out, require_inline_target
from opsmigrate.preflight.walk.default_values import database_default_fits
from opsmigrate.preflight.walk.defaults import add_identity, alter_default
from opsmigrate.preflight.walk.exclusion import is_exclusion, require_exclusion
from opsmigrate.preflight.walk.fields import UNKNOWN, column_of, is_auto, is_generated
from opsmigrate.preflight.walk.generated_columns import require_generated
from opsmigrate.preflight.walk.index_and_constraint_sql import examine_statement
from opsmigrate.preflight.walk.introspected import constraints_of
from opsmigrate.preflight.walk.noop_alter_field import alter_field_statements, is_noop
from opsmigrate.preflight.walk.operator_classes import require_keys
from opsmigrate.preflight.walk.owned_sequences import drop_sequence, require_range
from opsmigrate.preflight.walk.plain_defaults import may_be_called
from opsmigrate.preflight.walk.referenced_tables import tables_of
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.storage_and_schema import require_storage_and_schema


def tracing_editor(
    connection: BaseDatabaseWrapper, walk: SchemaWalk, *, atomic: bool
) -> TracingEditor:
    """Return an editor of the connection's own class that executes nothing.

    The operations of a migration drive it as they drive the real one; it asks `walk`
    about every step, and answers Django's questions from the simulated schema.
    """
    kind = editor_class(TracingEditor, connection)
    editor: TracingEditor = kind(connection, collect_sql=True, atomic=atomic)
    editor.deferred_sql = []
    editor.walk = walk
    return editor


def editor_class(kind: type[TracingEditor], connection: BaseDatabaseWrapper) -> type[TracingEditor]:
    """Return `kind` over the connection's own class of editor, which executes into `kind` too."""
    own = connection.SchemaEditorClass
    bases = (_Executed,) if own is DatabaseSchemaEditor else (own, _Executed)
    return type(kind.__name__, (kind, *bases), {})


DJANGOS_EDITORS = "django.db.backends."


def _text(statement: Any) -> str:
    """Return the statement's text; none where an engine's template makes several of it."""
    if isinstance(getattr(statement, "template", ""), str):
        return str(statement)
    return ""


class _Executed(DatabaseSchemaEditor):
    """Stands below an engine's own editor, which may make several statements of one."""

    def execute(self, sql: Any, params: Any = ()) -> None:
        """Hand over what would reach the database."""
        editor: Any = self
        editor.executed(sql, params)


class TracingEditor(DatabaseSchemaEditor):
    """Hooks the methods whose SQL is plain text; what is a Statement explains itself."""

    walk: SchemaWalk
    # Whether SQL written by hand is interpreted, or only known to be there.
    interprets = True
    _depth = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._origins: dict[int, str | None] = {}
        self._known_text: Any = None

    @contextmanager
    def _known(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def execute(self, sql: Any, params: Any = ()) -> None:
        """Let the engine's editor execute it, knowing whether the text is one of Django's own."""
        before = self._known_text
        caller = sys._getframe(1).f_globals.get("__name__", "")
        self._known_text = sql if self._depth and caller.startswith(DJANGOS_EDITORS) else None
        try:
            super().execute(sql, params)
        finally:
            self._known_text = before

    def executed(self, sql: Any, params: Any = ()) -> None:
        """Look at what would be executed: a Statement anywhere, other text only from outside."""
        known = sql is self._known_text
        by_hand = not (isinstance(sql, Statement) or known)
        if not self.note(sql, params, by_hand=by_hand):
            return
        if by_hand and self._understands(sql, params):
            return
        if isinstance(sql, Statement) or known:
            require_storage_and_schema(sql, self.walk)
        if isinstance(sql, Statement):
            examine_statement(sql, self.walk)
        elif not known:
            by = "SQL of the database engine's own" if self._depth else "hand-written SQL"
            self.walk.ledger.raw(str(sql), by=by, effect=effect_of_sql(str(sql)))

    def _understands(self, sql: Any, params: Any) -> bool:
        """Return whether SQL written by hand is understood, as far as that is wanted."""
        interpretation = self.walk.interpretation
        if self.interprets and interpretation.interprets:
            # Loaded only here, as it takes a while.
            from opsmigrate.preflight.walk.hand_written import understands

            composed = self._composed(sql, params)
            return understands(self.walk, composed, atomic=self.atomic_migration)
        interpretation.passed_over = True
        return False

    def _composed(self, sql: Any, params: Any) -> str:
        """Return the statement with its values, which no report shows."""
        text = str(sql)
        if not params:
            return text
        composed = str(self.connection.ops.compose_sql(text, params))
        # A default that only the project's code knows is a parameter to the grammar.
        return composed.replace(f"'{UNKNOWN}'", "$1")

    def note(self, sql: Any, params: Any = (), *, by_hand: bool = False) -> bool:
        """Keep the statement, and which tables it touches; say whether it can be sent at all.

        Where there are `params`, also an empty list, the driver takes a percent sign for the
        beginning of a placeholder, as in the real editor's execute().
        """
        ledger = self.walk.ledger
        try:
            text = str(sql)
            if params is not None:
                self.connection.ops.compose_sql(text, _without_values(params))
        except (TypeError, ValueError, LookupError, self.connection.Database.Error) as error:
            ledger.find(
                "malformed-statement",
                f"a statement of the migration cannot be sent to the server: {first_line(error)}",
                hint="remove the percent sign from the name or comment; in a comment, write %%",
            )
            return False
        composed = ""
        try:
            composed = self._composed(sql, params)
        except self.connection.Database.Error as error:
            # An earlier operation of the plan may bring what adapts it, as HStoreExtension does.
            ledger.mark_undecided(f"the driver cannot send a value yet: {first_line(error)}")
        kept = ledger.statement(text, tables_of(sql, self.walk.schema), composed)
        if not by_hand:
            self.walk.interpretation.note(kept)
        return True

    def quote_name(self, name: str) -> str:
        """Return the name in quotes as Django writes it, noting where that is no name in SQL."""
        quoted = super().quote_name(name)
        if not is_qualified(quoted):
            self.walk.ledger.find(
                "malformed-statement",
                f"Django writes the name {name} as {quoted}, which PostgreSQL cannot read",
                hint='remove the quotation mark from the name, or double it: ""',
            )
        return quoted

    def note_origins(self) -> None:
        """Remember that what was deferred since the last call comes from the present operation."""
        for statement in self.deferred_sql:
            self._origins.setdefault(id(statement), self.walk.ledger.operation)

    def run_deferred(self) -> None:
        """Look at the statements that the real editor keeps for the end of the migration."""
        ledger = self.walk.ledger
        for statement in self.deferred_sql:
            with ledger.at(ledger.migration, self._origins.get(id(statement))):
                self.execute(statement, None)
        self.deferred_sql.clear()

    def effective_default(self, field: Field[Any, Any]) -> Any:
        """Return the default, but do not call a project's own code for it: it may do anything."""
        default = field.default
        if field.has_default() and callable(default) and not may_be_called(default):
            module = getattr(default, "__module__", None)
            name = f"{module}.{getattr(default, '__qualname__', default)}"
            self.walk.ledger.mark_undecided(f"the default of {field.name} calls {name}")
            return UNKNOWN
        return super().effective_default(field)

    def create_model(self, model: type[Model]) -> None:
        """CREATE TABLE; its foreign keys and indexes come deferred."""
        with self._known():
            fields = model._meta.local_concrete_fields
            # Beside a parameter, constraints are statements of their own (table_sql).
            deferred = any(self.column_sql(model, field)[1] for field in fields)
            table = self.walk.create_table(model, constraints_deferred=deferred)
            for index in list(table.indexes.values()):
                require_keys(self.walk, table, index.columns)
            for field in fields:
                if field.has_db_default():
                    type_ = table.types[column_of(field)]
                    database_default_fits(self.walk, table, field, type_, computed="")
            for field in filter(is_generated, model._meta.local_fields):
                require_generated(self.walk, table, field)
            for constraint in model._meta.constraints:
                if is_exclusion(constraint):
                    require_exclusion(self.walk, model, constraint, self)
                elif isinstance(constraint, CheckConstraint) and not deferred:
                    new_check_fits(self.walk, model, constraint, self)
            super().create_model(model)
            # Beside a column whose default has a parameter, Django keeps what it leaves out as the
            # statement "None" (BaseDatabaseSchemaEditor.table_sql).
            executed = None in self.deferred_sql
            self.deferred_sql[:] = [each for each in self.deferred_sql if each is not None]
            for constraint in model._meta.constraints:
                if constraint.create_sql(model, self) is None:
                    note_left_out(self.walk, model, constraint, executed=executed)

    def delete_model(self, model: type[Model]) -> None:
        """DROP TABLE … CASCADE."""
        with self._known():
            super().delete_model(model)
            self.walk.drop_table(model._meta.db_table)

    def add_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """ALTER TABLE … ADD COLUMN, its foreign key inline."""
        with self._known():
            if field.db_parameters(connection=self.connection)["type"] is not None:
                default = self.effective_default(field)
                add_column(self.walk, model, field, default)
                require_inline_target(self, model, field, default)
            super().add_field(model, field)

    def remove_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """ALTER TABLE … DROP COLUMN; with CASCADE up to Django 6.0."""
        with self._known():
            super().remove_field(model, field)
            if field.db_parameters(connection=self.connection)["type"] is not None:
                cascades = "CASCADE" in DatabaseSchemaEditor.sql_delete_column
                drop_column(self.walk, model, column_of(field), cascades=cascades)

    def _alter_field(
        self,
        model: type[Model],
        old_field: Field[Any, Any],
        new_field: Field[Any, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        statements = alter_field_statements(self, model, old_field, new_field, *args)
        if statements is not None and is_noop(statements):
            known = self.walk.schema.table(model._meta.db_table)
            if not statements or known is None or column_of(old_field) not in known.types:
                return
        table = self.walk.require_owned_table(model._meta.db_table)
        if table is None or not self.walk.require_column(
            table, column_of(old_field), "altering it"
        ):
            return
        with self._known():
            real: Any = super()  # the stubs leave out these methods
            real._alter_field(model, old_field, new_field, *args, **kwargs)

    def _rename_field_sql(
        self, table: str, old_field: Field[Any, Any], new_field: Field[Any, Any], new_type: str
    ) -> Any:
        known = self.walk.schema.table(table)
        if known is not None:
            rename_column(self.walk, known, column_of(old_field), column_of(new_field))
        real: Any = super()
        return real._rename_field_sql(table, old_field, new_field, new_type)

    def _alter_column_type_sql(
        self,
        model: type[Model],
        old_field: Field[Any, Any],
        new_field: Field[Any, Any],
        *args: Any,
    ) -> Any:
        real: Any = super()
        explicit = bool(real._using_sql(new_field, old_field))
        # Django drops indexes on the way, so the question comes after its answer.
        composed = real._alter_column_type_sql(model, old_field, new_field, *args)
        # Also the columns of other tables that point to an altered key.
        table = self.walk.require_owned_table(model._meta.db_table)
        if table is not None:
            column = column_of(new_field)
            if is_auto(old_field) and not is_auto(new_field):
                drop_sequence(self.walk, table, column)
            elif column in table.identities or (is_auto(old_field) and is_auto(new_field)):
                after = str(new_field.db_parameters(connection=self.connection)["type"])
                require_range(self.walk, table, column, after)
            if old_field.has_db_default() and not new_field.has_db_default():
                # Of one ALTER TABLE, PostgreSQL does DROP DEFAULT first (ATPrepCmd, tablecmds.c).
                table.defaults.discard(column)
            alter_type(self.walk, table, old_field, new_field, explicit=explicit)
            if is_auto(old_field) and not is_auto(new_field):
                table.defaults.discard(column)
            elif is_auto(new_field) and not is_auto(old_field):
                add_identity(self.walk, table, column)
        return composed

    def _alter_column_database_default_sql(self, model: type[Model], *args: Any, **kw: Any) -> Any:
        real: Any = super()
        composed = real._alter_column_database_default_sql(model, *args, **kw)
        return self._with_default(model, args[1], composed)

    def _alter_column_default_sql(self, model: type[Model], *args: Any, **kw: Any) -> Any:
        real: Any = super()
        return self._with_default(
            model, args[1], real._alter_column_default_sql(model, *args, **kw)
        )

    def _with_default(self, model: type[Model], field: Field[Any, Any], composed: Any) -> Any:
        table = self.walk.schema.table(model._meta.db_table)
        if table is not None:
            alter_default(self.walk, table, field, composed)
        return composed

    def _alter_column_null_sql(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any]
    ) -> Any:
        table = self.walk.schema.table(model._meta.db_table)
        if table is not None:
            default = None
            if not (new_field.null or new_field.has_db_default()):
                default = self.effective_default(new_field)
            alter_null(self.walk, table, new_field, default)
        real: Any = super()
        return real._alter_column_null_sql(model, old_field, new_field)

    def alter_db_table(self, model: type[Model], old_db_table: str, new_db_table: str) -> None:
        """ALTER TABLE … RENAME TO."""
        with self._known():
            super().alter_db_table(model, old_db_table, new_db_table)
            if old_db_table != new_db_table:
                self.walk.rename_table(old_db_table, new_db_table)

    def alter_db_table_comment(self, model: type[Model], *args: Any) -> None:
        """COMMENT ON TABLE."""
        with self._known():
            self.walk.require_owned_table(model._meta.db_table)
            super().alter_db_table_comment(model, *args)

    def alter_unique_together(self, model: type[Model], *args: Any) -> None:
        """ADD and DROP CONSTRAINT, of which Django wants to find exactly one."""
        with self._known(), self._wrong_number(model):
            super().alter_unique_together(model, *args)

    def alter_index_together(self, model: type[Model], *args: Any) -> None:
        """CREATE and DROP INDEX, of which Django wants to find exactly one."""
        with self._known(), self._wrong_number(model):
            super().alter_index_together(model, *args)

    def add_index(self, model: type[Model], index: Index, concurrently: bool = False) -> None:
        """CREATE INDEX, whose condition or expressions may name columns."""
        with self._known():
            self.walk.name_columns(model, _text(index.create_sql(model, self)))
            super().add_index(model, index, concurrently=concurrently)

    def add_constraint(self, model: type[Model], constraint: BaseConstraint) -> None:
        """ADD CONSTRAINT, whose condition or expressions may name columns."""
        with self._known():
            if constraint.create_sql(model, self) is None:
                note_left_out(self.walk, model, constraint, executed=False)
            if is_exclusion(constraint):
                require_exclusion(self.walk, model, constraint, self)
                self.note(constraint.create_sql(model, self), None)
                return
            self.walk.name_columns(model, _text(constraint.create_sql(model, self)))
            super().add_constraint(model, constraint)

    @contextmanager
    def _wrong_number(self, model: type[Model]) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            self.walk.wrong_number(model._meta.db_table, str(error))

    def _get_sequence_name(self, table: str, column: str) -> str | None:
        return None

    def _is_collation_deterministic(self, collation_name: str) -> bool | None:
        return is_deterministic(self.connection, self.walk, collation_name)

    def _constraint_names(  # noqa: PLR0913 - Django's own signature
        self,
        model: type[Model],
        column_names: list[str] | None = None,
        unique: bool | None = None,
        primary_key: bool | None = None,
        index: bool | None = None,
        foreign_key: bool | None = None,
        check: bool | None = None,
        type_: str | None = None,
        exclude: set[str] | None = None,
    ) -> list[str]:
        """Answer as Django's introspection would, from the simulated table."""
        wanted: list[tuple[bool | None, Callable[[dict[str, Any]], Any]]] = [
            (unique, lambda info: info["unique"]),
            (primary_key, lambda info: info["primary_key"]),
            (index, lambda info: info["index"]),
            (check, lambda info: info["check"]),
            (foreign_key, lambda info: info["foreign_key"]),
        ]
        table = self.walk.schema.table(model._meta.db_table)
        return [
            name
            for name, info in constraints_of(table).items()
            if (column_names is None or list(column_names) == info["columns"])
            and all(value is None or value == read(info) for value, read in wanted)
            and (type_ is None or type_ == info["type"])
            and name not in (exclude or ())
        ]


def _without_values(params: Any) -> Any:
    return dict.fromkeys(params) if isinstance(params, Mapping) else [None] * len(params)
