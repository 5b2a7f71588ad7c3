"""What constraints need: a target to point to, a name that is free, one to drop."""

from __future__ import annotations

from typing import Any

from django.db.models import BaseConstraint, Field, Model

from opsmigrate.postgres.names import as_stored, quoted, unquoted
from opsmigrate.preflight.walk.casts import may_join
from opsmigrate.preflight.walk.changed_rows import grant_on_new_tables
from opsmigrate.preflight.walk.conflict_remedies import KINDS
from opsmigrate.preflight.walk.conflict_remedies import drop_constraint as drop_constraint_there
from opsmigrate.preflight.walk.descendants import descendants
from opsmigrate.preflight.walk.fields import (
    UNKNOWN,
    column_of,
    is_computed,
    is_constant,
    is_new_each,
    value_of_constant,
)
from opsmigrate.preflight.walk.privileges import BY_OTHERS
from opsmigrate.preflight.walk.probes import points_nowhere
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import (
    CHECK,
    FOREIGN_KEY,
    SimulatedForeignKey,
    SimulatedTable,
)
from opsmigrate.preflight.walk.simulation import TYPE
from opsmigrate.report import Severity
from opsmigrate.schema.types import base
from opsmigrate.steps import statement


def require_target(
    walk: SchemaWalk,
    table: SimulatedTable,
    columns: tuple[str, ...],
    to_table: str,
    to_columns: tuple[str, ...],
) -> None:
    """FOREIGN KEY … REFERENCES: the target must be there, unique, comparable, and allowed."""
    purpose = f"the foreign key of {table.label} ({', '.join(columns)})"
    target = walk.schema.table(to_table)
    if target is None:
        _no_target(walk, to_table, purpose)
        return
    wanted = [(target, column) for column in to_columns] + [(table, column) for column in columns]
    there = [walk.require_column(owner, column, purpose) for owner, column in wanted]
    if all(there):
        _require_unique(walk, target, to_columns, purpose)
        _require_comparable(walk, table, columns, target, to_columns, purpose)
    if target.unlogged and not table.unlogged:
        walk.ledger.find(
            "references-unlogged",
            f"{purpose} references {target.label}, which is UNLOGGED: a crash empties it",
            steps=(
                statement(
                    f"ALTER TABLE {target.live} SET LOGGED", risk="locks and rewrites the table"
                ),
            ),
            table=target.label,
        )
    if not target.may_be_referenced(to_columns):
        live = target.origins.keys() >= set(to_columns)
        named = f" ({', '.join(map(target.live_column, to_columns))})" if live else ""
        grant = f"GRANT REFERENCES{named} ON TABLE {target.live} TO {quoted(walk.role)}"
        made = target.made_after is not None
        walk.ledger.find(
            "missing-privilege",
            f"{purpose} needs the REFERENCES privilege on {target.label}",
            hint="the role types this" if made else BY_OTHERS,
            steps=(grant_on_new_tables(walk, "REFERENCES") if made else statement(grant),),
            table=target.label,
        )


def _no_target(walk: SchemaWalk, to_table: str, purpose: str) -> None:
    """Report that no table has the name; PostgreSQL accepts no other relation (42809)."""
    kind = walk.schema.visible_kind(to_table)
    is_a = "does not exist" if kind in (None, TYPE) else f"is a {KINDS.get(kind or '', 'relation')}"
    hint = (
        "first apply the migration that creates it, or restore it from a backup; python manage.py "
        "showmigrations lists the migrations"
    )
    if is_a != "does not exist":
        is_a += ": a foreign key points to tables only"
        hint = "give the field db_constraint=False, or let it point to a table that the view reads"
    walk.ledger.find(
        "missing-table",
        f"{purpose} references table {to_table}, which {is_a}",
        hint=hint,
        table=walk.schema.label(to_table),
    )


def require_inline_target(
    editor: Any, model: type[Model], field: Field[Any, Any], default: object
) -> None:
    """ADD COLUMN … CONSTRAINT name REFERENCES, which PostgreSQL checks at once."""
    walk: SchemaWalk = editor.walk
    table = walk.schema.table(model._meta.db_table)
    remote: Any = field.remote_field
    if table is None or not remote or not getattr(field, "db_constraint", False):
        return
    column, to_table = column_of(field), remote.model._meta.db_table
    to_column = column_of(remote.model._meta.get_field(remote.field_name))
    require_target(walk, table, (column,), to_table, (to_column,))
    # As Django's add_field() calls it.
    called = editor._fk_constraint_name(model, field, "_fk_%(to_table)s_%(to_column)s")
    name = as_stored(unquoted(str(called)))
    add_constraint(walk, table, name, FOREIGN_KEY, (column,))
    add_foreign_key(walk, table, name, (column,), to_table, (to_column,), inline=True)
    if is_constant(field):
        default = value_of_constant(walk.connection, field)
    if default is not None or is_computed(field) or is_new_each(field):
        target = walk.schema.table(to_table)
        walk.check_rows(
            table,
            f"whether the default of {table.label}.{column} points to a row",
            points_nowhere(table, column, target, to_column, default)
            if target is not None and default not in (None, UNKNOWN)
            else None,
        )


def add_constraint(
    walk: SchemaWalk,
    table: SimulatedTable,
    name: str,
    kind: str,
    columns: tuple[str, ...],
) -> None:
    """ADD CONSTRAINT: its name must be free on the table."""
    if name in table.constraints:
        walk.ledger.find(
            "constraint-exists",
            f"the migration adds constraint {name} to {table.label}, which has one of that name",
            hint="drop the existing one, or rename it",
            steps=drop_constraint_there(
                table, name, renamed=walk.schema.free_name(table.schema, name)
            ),
            table=table.label,
            name=name,
        )
    if kind == CHECK:
        walk.require_owned_children(table, None, f"adding {name}")
        for child in descendants(walk, table):
            _merges(walk, table, child, name, columns)
    table.constraints[name] = (kind, columns)


def _merges(
    walk: SchemaWalk,
    table: SimulatedTable,
    child: SimulatedTable,
    name: str,
    columns: tuple[str, ...],
) -> None:
    """A check goes to the children too; one that has the name already must be the same there."""
    if name not in child.constraints:
        child.constraints[name] = (CHECK, columns)
    elif child.constraints[name][0] != CHECK:
        walk.ledger.find(
            "constraint-exists",
            f"the migration adds constraint {name} to {table.label}, and to {child.label}, which "
            "inherits from it and has one of that name",
            hint="drop the existing one, or rename it",
            steps=drop_constraint_there(
                child, name, renamed=walk.schema.free_name(child.schema, name)
            ),
            table=child.label,
            name=name,
        )
    else:
        walk.ledger.mark_undecided(
            f"whether the constraint {name} that {child.label} has already is the one that it "
            f"gets from {table.label}"
        )


def add_foreign_key(  # noqa: PLR0913 - the parts of a foreign key
    walk: SchemaWalk,
    table: SimulatedTable,
    name: str,
    columns: tuple[str, ...],
    to_table: str,
    to_columns: tuple[str, ...],
    *,
    inline: bool = False,
) -> None:
    """Add a foreign key to the simulated schema; its name and target were checked before.

    One that comes `inline` with its column is followed by SET CONSTRAINTS … IMMEDIATE.
    """
    table.constraints[name] = (FOREIGN_KEY, columns)
    target = walk.schema.table(to_table)
    if target is not None:
        walk.schema.foreign_keys.append(
            SimulatedForeignKey(
                name=name,
                table=table,
                columns=columns,
                target=target,
                to_columns=to_columns,
                index=target.index_to_reference(to_columns),
                immediate_in=walk.ledger.migration if inline else None,
            )
        )


def drop_constraint(walk: SchemaWalk, table: SimulatedTable, name: str) -> None:
    """DROP CONSTRAINT without CASCADE: it must be there, and no foreign key may rest on it."""
    require_constraint(walk, table, name, "drops")
    no_foreign_key_rests_on(walk, table, name)
    table.constraints.pop(name, None)
    walk.schema.forget_foreign_keys(lambda key: key.table is table and key.name == name)
    if table.indexes.pop(name, None):
        walk.schema.forget_relation(table, name)


def no_foreign_key_rests_on(walk: SchemaWalk, table: SimulatedTable, name: str) -> None:
    """Report the foreign keys that keep PostgreSQL from dropping an index or constraint."""
    for key in walk.schema.foreign_keys:
        if key.target is table and key.index == name:
            walk.ledger.find(
                "constraint-in-use",
                f"dropping {name} of {table.label} is refused while the foreign key {key.name} of "
                f"{key.table.label} depends on it",
                hint=(
                    "let the foreign key depend on another key, or drop it: without it, rows "
                    "may point to rows that do not exist"
                ),
                steps=(
                    statement(
                        f"ALTER TABLE {key.table.live} DROP CONSTRAINT {quoted(key.name)}",
                        risk="its rows are no longer checked",
                    ),
                ),
                table=table.label,
                name=key.name,
            )


def require_constraint(walk: SchemaWalk, table: SimulatedTable, name: str, does: str) -> None:
    """DROP or VALIDATE CONSTRAINT: it must be there."""
    if name not in table.constraints:
        walk.ledger.find(
            "missing-constraint",
            f"the migration {does} constraint {name} of {table.label}, which does not exist",
            hint="add the constraint as the applied migrations describe it",
            evidence={"name": name},
            table=table.label,
            name=name,
        )


def _require_unique(
    walk: SchemaWalk, target: SimulatedTable, columns: tuple[str, ...], purpose: str
) -> None:
    if target.index_to_reference(columns):
        return
    named = ", ".join(columns)
    seed = walk.seed_step(target.name, columns[0])
    # Without a name: PostgreSQL gives it the one that a column's own UNIQUE has.
    unique = f"ALTER TABLE {target.live} ADD UNIQUE ({', '.join(map(target.live_column, columns))})"
    walk.ledger.find(
        "missing-unique",
        f"{purpose} references {target.label} ({named}), which has no unique constraint",
        hint=None if seed else "if it is refused, rows have equal values: correct them first",
        steps=(seed or statement(unique, risk="locks the table while it reads it"),),
        table=target.label,
        column=columns[0],
    )


def _require_comparable(
    walk: SchemaWalk,
    table: SimulatedTable,
    columns: tuple[str, ...],
    target: SimulatedTable,
    to_columns: tuple[str, ...],
    purpose: str,
) -> None:
    for column, to_column in zip(columns, to_columns, strict=True):
        own, referenced = table.types[column], target.types[to_column]
        if not may_join(walk.connection, own, referenced):
            walk.ledger.find(
                "foreign-key-type",
                f"{purpose} is {base(own)}, but {target.label}.{to_column} is {base(referenced)}",
                hint="convert the column to the type that the applied migrations describe",
                table=target.label,
                column=to_column,
            )


def note_left_out(
    walk: SchemaWalk, model: type[Model], constraint: BaseConstraint, *, executed: bool
) -> None:
    """Report a constraint that Django silently leaves out because the server is too old for it.

    Where "None" would be `executed` in its place, `migrate` fails.
    """
    table = walk.schema.label(model._meta.db_table)
    does = "executes None in its place, and fails" if executed else "leaves it out and reports OK"
    walk.ledger.find(
        "constraint-not-created",
        f"the server is too old for the constraint {constraint.name} of {table}: migrate {does}",
        hint="upgrade the server first; or remove the option that it does not support",
        table=table,
        severity=Severity.ERROR if executed else Severity.WARNING,
    )
