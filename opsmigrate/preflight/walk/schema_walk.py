"""What a step of a migration needs to find, asked of the simulated schema that it then changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BaseConstraint, CheckConstraint, Field, Model, UniqueConstraint

from opsmigrate.counted import counted
from opsmigrate.postgres.catalog import Catalog, Dependent
from opsmigrate.postgres.column_numbers import MOST_COLUMNS
from opsmigrate.postgres.names import as_stored, generated_name, quoted, stored_in
from opsmigrate.preflight.ledger import BY_ROWS, Ledger
from opsmigrate.preflight.walk.answers import Answers
from opsmigrate.preflight.walk.cascades import taken_along
from opsmigrate.preflight.walk.conflict_remedies import KINDS, free_name, set_aside
from opsmigrate.preflight.walk.dependents import views_forbid, warn_of_cascade, warn_of_views
from opsmigrate.preflight.walk.few_columns import require_few_columns
from opsmigrate.preflight.walk.fields import column_of, generated_sql
from opsmigrate.preflight.walk.function_bodies import FunctionBodies
from opsmigrate.preflight.walk.interpretation import Interpretation
from opsmigrate.preflight.walk.privileges import (
    BY_OTHERS,
    NO_LONGER,
    OWNER,
    live_relation,
    on_relation,
)
from opsmigrate.preflight.walk.probes import Probe, ask
from opsmigrate.preflight.walk.rejected_row_remedies import Deciding
from opsmigrate.preflight.walk.related_tables import RelatedTables
from opsmigrate.preflight.walk.renamed_into_schema import find_renamed_into_schema
from opsmigrate.preflight.walk.simulated_table import CHECK, SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.preflight.walk.system_column_name import find_system_column_name
from opsmigrate.preflight.walk.waiting_triggers import doubt_if_triggers_wait
from opsmigrate.steps import Step, statement

# What stands within CREATE TABLE, unless it is deferred.
OF_THE_TABLE = (CheckConstraint, UniqueConstraint)


class SchemaWalk:
    """Asks, notes what is wrong in the ledger, and goes on as if the step had been done.

    `rows` says how many rows a table has: 0, 1, 2 for more, None where nobody knows; `seed_step`
    what to type where a missing column is the one that seed_payment_id adds.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        catalog: Catalog,
        ledger: Ledger,
        *,
        rows: Callable[[SimulatedTable], int | None],
        seed_step: Callable[[str, str], Step | None],
    ) -> None:
        self.connection = connection
        self.catalog = catalog
        self.schema = Simulation(catalog)
        self.deciding = Deciding(connection=connection, catalog=catalog, schema=self.schema)
        self.ledger = ledger
        self.rows = rows
        self.seed_step = seed_step
        self.relatives = RelatedTables(connection)
        self.bodies = FunctionBodies(connection)
        self.interpretation = Interpretation(connection, catalog.neighbours)
        self.types_needed: dict[str, tuple[str | None, str | None]] = {}
        self.answers = Answers()

    def views_forbid(
        self, table: SimulatedTable, views: list[str], does: str, column: str, *, stays: bool
    ) -> None:
        """Report the views because of which PostgreSQL refuses the statement; `stays`: no drop."""
        views_forbid(
            self.connection, self.catalog, self.ledger, table, views, does, column, stays=stays
        )

    @property
    def role(self) -> str:
        """Return the role that migrates."""
        return self.catalog.role

    def sees_everything(self) -> bool:
        """Return whether nothing before may have brought types, functions, casts or operators."""
        brought = self.schema.extensions - self.catalog.extensions or self.interpretation.knows_more
        return not (brought or self.ledger.code_runs)

    # Tables

    def require_owned_table(self, db_table: str, *, drops: bool = False) -> SimulatedTable | None:
        """Return the table; report if it is missing, or if the role may not alter it.

        The owner of the schema may drop a table or index in it, but not alter it.
        """
        table = self.schema.table(db_table)
        if table is None:
            kind = self.schema.kind(db_table)
            if kind == "f":
                self.ledger.mark_undecided(f"which changes the foreign table {db_table} allows")
                return None
            is_a = (
                f"is a {KINDS.get(kind, 'relation of another kind')}" if kind else "does not exist"
            )
            self.ledger.find(
                "missing-table",
                f"the migration alters table {db_table}, which {is_a}",
                hint="restore it from a backup; python manage.py showmigrations lists the "
                "migrations that should have created it",
                table=self.schema.label(db_table),
            )
            return None
        doubt_if_triggers_wait(self.ledger, self.schema, table)
        if not (table.owned or (drops and table.schema in self.catalog.owned_schemas)):
            live = live_relation(self.catalog, table.origin)
            self.ledger.find(
                "missing-privilege",
                f"only the owner of {table.label} may alter it, and this role is not",
                hint=BY_OTHERS,
                steps=on_relation(OWNER, live).steps(self.role) if live else (),
                table=table.label,
            )
        return table

    def create_table(
        self, model: type[Model], *, constraints_deferred: bool = False
    ) -> SimulatedTable:
        """CREATE TABLE: the name must be free, and the types there.

        `constraints_deferred` says that Django makes them by statements of their own.
        """
        db_table = model._meta.db_table
        taken = self.schema.kind(db_table)
        if taken:
            self.ledger.find(
                "table-exists",
                f"the migration creates table {db_table}, but a {KINDS.get(taken, 'relation')} of "
                "that name exists",
                hint="rename the existing one, or drop it if it is not needed",
                steps=(set_aside(self.schema, *self.schema.home(db_table)),),
                table=self.schema.label(db_table),
            )
        table = self.schema.create_table(db_table, after=self.ledger.code_runs)
        # A CompositePrimaryKey and a ForeignObject have no column of their own.
        for field in model._meta.local_concrete_fields:
            self.define_column(table, field)
        table.numbers = len(table.types)
        if table.numbers > MOST_COLUMNS:
            self.ledger.find(
                "too-many-columns",
                f"the migration creates table {db_table} with "
                f"{counted(table.numbers, 'column')}: it can have {MOST_COLUMNS:,}",
                hint="split it into several tables",
                table=table.label,
            )
        primary = tuple(column_of(field) for field in model._meta.pk_fields)
        table.add_unique(generated_name(table.name, "", "pkey"), primary, primary=True)
        for constraint in model._meta.constraints:
            if not (constraints_deferred and isinstance(constraint, OF_THE_TABLE)):
                self._constrain(table, model, constraint)
        return table

    def _constrain(
        self, table: SimulatedTable, model: type[Model], constraint: BaseConstraint
    ) -> None:
        """Report what a constraint inside CREATE TABLE lacks; some come as separate statements."""
        name = as_stored(constraint.name)
        if isinstance(constraint, UniqueConstraint):
            unique: Any = constraint
            own_statement = (
                unique.condition
                or unique.include
                or unique.opclasses
                or unique.nulls_distinct is not None
            )
            if constraint.fields and not own_statement:
                self.require_free_name(table, name)
                fields: Any = [model._meta.get_field(name) for name in constraint.fields]
                immediate = constraint.deferrable is None
                columns = tuple(map(column_of, fields))
                require_few_columns(self.ledger, table, name, len(columns))
                table.add_unique(name, columns, immediate=immediate)
        elif isinstance(constraint, CheckConstraint):
            condition: Any = constraint.condition
            names: set[str] = getattr(condition, "referenced_base_fields", set())
            named: Any = [model._meta.get_field(name) for name in sorted(names - {"pk"})]
            table.constraints[name] = (CHECK, tuple(map(column_of, named)))
        elif type(constraint).__name__ != "ExclusionConstraint":
            kind = type(constraint).__name__
            self.ledger.mark_undecided(f"what the {kind} {constraint.name} needs of the server")

    def drop_table(self, db_table: str) -> None:
        """DROP TABLE … CASCADE: views on it vanish without a word."""
        table = self.require_owned_table(db_table, drops=True)
        if table is not None:
            statement = f"DROP TABLE {table.label} CASCADE"
            taken = taken_along(self.connection, self.schema, table.origin)
            warn_of_views(self.ledger, table, taken.views, statement)
            for user in taken.others:
                warn_of_cascade(self.ledger, table, statement, user)
            for key in self.schema.foreign_keys:
                if key.target is table and key.table is not table:
                    user = f"the foreign key {key.name} of {key.table.label}"
                    warn_of_cascade(self.ledger, table, statement, user)
            self.bodies.left_behind(self.ledger, table, f"dropping {table.label}")
            self.schema.drop_table(db_table)

    def rename_table(self, old: str, new: str) -> None:
        """ALTER TABLE … RENAME TO: the old is there, the new name free."""
        table = self.require_owned_table(old)
        find_renamed_into_schema(self.ledger, self.schema.label(old), new)
        if self.schema.kind(new):
            self.ledger.find(
                "table-exists",
                f"the migration renames table {old} to {new}, but a relation of that name exists",
                hint="rename the existing one, or drop it if it is not needed",
                steps=(set_aside(self.schema, *self.schema.home(new)),),
                table=self.schema.label(new),
            )
        if table is not None:
            self.bodies.left_behind(self.ledger, table, f"renaming {table.label}")
            self.schema.rename_table(old, new)

    # Columns

    def require_column(self, table: SimulatedTable, column: str, purpose: str) -> bool:
        """Return whether the column is there, noting it where it is missing."""
        if column in table.types:
            return True
        seed = self.seed_step(table.name, column)
        self.ledger.find(
            "missing-column",
            f"{purpose} needs column {column} of {table.label}, which does not exist",
            hint=None if seed else "add the column as the applied migrations describe it",
            steps=(seed,) if seed else (),
            table=table.label,
            column=column,
        )
        return False

    def require_owned_children(self, table: SimulatedTable, column: str | None, doing: str) -> None:
        """Report a table that inherits from it and that the role does not own."""
        child = self.relatives.foreign_child(table)
        if child is not None:
            self.ledger.find(
                "missing-privilege",
                f"{doing} changes {child} too, which inherits from {table.label}, and only the "
                "owner of it may",
                hint=BY_OTHERS,
                steps=(
                    statement(f"ALTER TABLE {child} OWNER TO {quoted(self.role)}", risk=NO_LONGER),
                ),
                table=table.label,
                column=column,
            )

    def alter_column(self, table: SimulatedTable, column: str, doing: str) -> None:
        """Report what prevents a change of the column, here and in the tables that inherit it."""
        self.require_owned_children(table, column, doing)
        if column in table.inherited:
            self.ledger.find(
                "inherited-column",
                f"{table.label} has column {column} from the table that it inherits from or is a "
                f"partition of, so {doing} is refused",
                hint="let the migration alter the parent, or detach the table from it",
                table=table.label,
                column=column,
            )

    def define_column(self, table: SimulatedTable, field: Field[Any, Any]) -> None:
        """Add a column to the simulated table, with what its definition brings along."""
        self.inherit_column(table, field)
        column = column_of(field)
        if column in table.types:
            find_system_column_name(self.ledger, table, column)
        if column in table.types and field.unique and not field.primary_key:
            table.add_unique(generated_name(table.name, column, "key"), (column,))

    def inherit_column(self, table: SimulatedTable, field: Field[Any, Any]) -> None:
        """Add a column with what a child has of it too: no index."""
        params = field.db_parameters(connection=self.connection)
        if params["type"] is None:
            return
        self.require_type(params["type"])
        column = column_of(field)
        self.require_collation(params.get("collation"), table, column)
        table.types[column] = params["type"]
        if not field.null and not field.generated:
            table.not_null.add(column)
        if field.has_db_default():
            table.defaults.add(column)
        if field.db_type_suffix(self.connection):
            table.identities.add(column)
        if field.generated:
            table.generated.add(column)
            if not getattr(field, "db_persist", True):
                table.virtual.add(column)
            user = Dependent(kind="default value", name=f"for {table.label}.{column}")
            for source in self.columns_in(table, generated_sql(self.connection, field)):
                table.dependents.setdefault(source, set()).add(user)
        if params["check"]:
            name = generated_name(table.name, column, "check")
            table.constraints[name] = (CHECK, (column,))
            table.made_checks[name] = str(params["check"])

    def needs_value(self, table: SimulatedTable, given: set[str]) -> list[str]:
        """Return the columns that an INSERT of `given` must name, or cannot."""
        filled = given | table.defaults | table.identities
        return [
            *sorted(given - set(table.types)),
            *sorted(table.not_null - filled),
        ]

    def require_type(self, type_: str) -> None:
        """Remember a type that the server must know, to ask for all of them at once."""
        self.types_needed.setdefault(type_, (self.ledger.migration, self.ledger.operation))

    def has_collation(self, name: str) -> bool:
        """Return whether the collation is there at this point of the plan."""
        planned = self.schema.collations
        return planned[name] is not None if name in planned else name in self.catalog.collations

    def require_collation(
        self, name: str | None, table: SimulatedTable | None = None, column: str | None = None
    ) -> None:
        """Report if the collation does not exist; `name` is None for the type's own."""
        if name is None or self.has_collation(name):
            return
        if not self.sees_everything():
            self.ledger.mark_undecided(f"whether the collation {name} will be there")
            return
        self.ledger.find(
            "missing-collation",
            f"the migration needs the collation {name}, which does not exist",
            hint="create it with CreateCollation in an earlier operation, or by hand, with the "
            "locale that was intended",
            table=table.label if table else None,
            column=column,
            name=name,
        )

    # Names

    def require_free_name(self, table: SimulatedTable, name: str) -> None:
        """Report if the name of the index is taken; then add the name to the schema."""
        if self.schema.is_taken(table, name):
            invalid = name in table.indexes and not table.indexes[name].valid
            found = (
                "an INVALID one exists, left by CREATE INDEX CONCURRENTLY"
                if invalid
                else f"a relation of that name exists in schema {table.schema}"
            )
            self.ledger.find(
                "index-exists",
                f"the migration creates index {name} on {table.label}, but {found}",
                hint=None if invalid else "drop it, or rename it so that its rows are kept",
                steps=free_name(self.schema, table, name),
                table=table.label,
                name=name,
            )
        self.schema.take(table, name)

    def columns_in(self, table: SimulatedTable, expression: str) -> tuple[str, ...]:
        """Return the columns of the table that an SQL expression names."""
        quote_name, text = self.connection.ops.quote_name, stored_in(expression)
        return tuple(column for column in table.types if quote_name(column) in text)

    def name_columns(self, model: type[Model], statement: str) -> None:
        """Report the columns that an expression or condition names and the live table lacks."""
        table = self.schema.table(model._meta.db_table)
        if table is None:
            return
        statement = stored_in(statement)
        # Those of a parent too: Django writes them as if they were in the child's table.
        for field in model._meta.concrete_fields:
            quoted = self.connection.ops.quote_name(column_of(field))
            if column_of(field) not in table.types and quoted in statement:
                self.require_column(table, column_of(field), "a constraint or index")

    # What cannot be decided from the catalog

    def check_rows(
        self,
        table: SimulatedTable,
        question: str,
        probe: Probe | None,
        *,
        taken_as_true: bool = False,
    ) -> None:
        """Answer `question` by the rows, or mark it as undecided if they cannot tell.

        `taken_as_true` is what the server answers for already: only rows that say no are noted.
        """
        rows = self.rows(table)
        if rows and probe:
            self._check_live_rows(table, question, probe, taken_as_true=taken_as_true)
        elif rows != 0 and not taken_as_true:
            again = None
            if probe and table.made_after is None:
                again = partial(self._check_live_rows, table, question, probe)
            self.ledger.mark_undecided(f"{question}: {BY_ROWS}", again, sort=BY_ROWS)

    def _check_live_rows(
        self, table: SimulatedTable, question: str, probe: Probe, *, taken_as_true: bool = False
    ) -> None:
        """Answer by the rows that are there now."""
        bad = ask(self.connection, probe)
        if bad is None:
            if not taken_as_true:
                self.ledger.mark_undecided(f"{question}: the rows cannot be read, or not in time")
        elif bad.count and not (probe.proves and self.relatives.alone(table, probe.id)):
            self.ledger.mark_undecided(f"{question}: {bad.counted} may not")
        elif bad.count:
            hint, ways = self.deciding.about(probe.id, probe.bad)
            self.ledger.find(
                probe.id,
                probe.said_of(bad),
                hint=hint,
                steps=(statement(bad.query), *ways),
                table=table.label,
                column=probe.column,
                severity=probe.severity,
                evidence={"count": bad.count, "exact": bad.exact, "sample": list(bad.sample)},
            )

    def wrong_number(self, db_table: str, words: str) -> None:
        """Report that Django will not find exactly one constraint or index to drop."""
        self.ledger.find(
            "missing-constraint",
            f"{words[0].lower()}{words[1:]}: Django wants to drop exactly one",
            hint="add the constraint that the applied migrations describe, or drop the surplus one",
            table=self.schema.label(db_table),
        )
