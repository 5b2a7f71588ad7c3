"""What ALTER COLUMN needs: a new name, another type, NOT NULL, an identity."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import Field

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.ledger import BY_ROWS
from opsmigrate.preflight.walk.casts import bad_casts, castable, may_join
from opsmigrate.preflight.walk.changed_rows import require_fillable
from opsmigrate.preflight.walk.code_of_others import WHY, calls_others
from opsmigrate.preflight.walk.collations import is_deterministic, require_no_patterns
from opsmigrate.preflight.walk.columns import users_of
from opsmigrate.preflight.walk.conflict_remedies import set_column_aside
from opsmigrate.preflight.walk.default_values import (
    PLANNED,
    database_default_fits,
    gives_value,
    require_value_fits,
)
from opsmigrate.preflight.walk.defaults import refuse_computed, without
from opsmigrate.preflight.walk.dependents import column_in_use
from opsmigrate.preflight.walk.descendants import (
    Member,
    descendants,
    family,
    free_in_children,
    note_foreign_tables,
    require_no_other_parent,
)
from opsmigrate.preflight.walk.expressions import (
    PLAIN,
    ForbiddenError,
    expressions_on,
    is_decidable,
    misfit,
)
from opsmigrate.preflight.walk.fields import UNKNOWN, column_of
from opsmigrate.preflight.walk.filling import fill, unique_holds
from opsmigrate.preflight.walk.inherited_not_null import require_own_not_null
from opsmigrate.preflight.walk.operator_classes import special_indexes_fit
from opsmigrate.preflight.walk.probes import (
    fails_on_rows,
    nulls,
    orphans_of,
    violations,
)
from opsmigrate.preflight.walk.restricted_search_path import require_safe_path
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import NOT_NULL, PRIMARY_KEY, SimulatedTable
from opsmigrate.preflight.walk.system_column_name import find_system_column_name
from opsmigrate.preflight.walk.type_compatibility import always_casts
from opsmigrate.preflight.walk.values_lost_to_null import stays_not_null
from opsmigrate.preflight.walk.weak_not_null import set_not_null
from opsmigrate.schema.types import INTEGERS, UNPADDED_TEXTS, base, in_full, modifiers


def rename_column(walk: SchemaWalk, table: SimulatedTable, before: str, after: str) -> None:
    """RENAME COLUMN: the new name must be free."""
    if after in table.types:
        walk.ledger.find(
            "column-exists",
            f"the migration renames column {before} of {table.label} to {after}, which already "
            "exists",
            hint="rename the existing one: its values are kept",
            steps=set_column_aside(table, after),
            table=table.label,
            column=after,
        )
    find_system_column_name(walk.ledger, table, after)
    free_in_children(walk, table, after, None)
    walk.alter_column(table, before, "renaming it")
    require_no_other_parent(walk, table, before, "renaming it")
    for each in (table, *descendants(walk, table)):
        doing = f"renaming column {before} of {each.label}"
        walk.bodies.left_behind(walk.ledger, each, doing, before)
        walk.schema.rename_column(each, before, after)


def alter_type(
    walk: SchemaWalk,
    table: SimulatedTable,
    old: Field[Any, Any],
    new: Field[Any, Any],
    *,
    explicit: bool,
) -> None:
    """ALTER COLUMN … TYPE, also where the type stays: PostgreSQL refuses what uses the column.

    `explicit` says that Django writes USING …::type.
    """
    column, before = column_of(new), table.types.get(column_of(new))
    after = new.db_parameters(connection=walk.connection)["type"]
    if before is None or after is None:
        return
    walk.require_type(after)
    walk.alter_column(table, column, "altering its type")
    require_no_other_parent(walk, table, column, "altering its type")
    statement = f"altering the type of {table.label}.{column}"
    walk.require_collation(_collation(walk, new), table, column)
    members = [each for each in family(walk, table) if column in each.table.types]
    for each in members:
        if explicit and column in each.table.generated:
            refuse_computed(walk, each.table, column, f"{statement} with USING")
        _nothing_uses_it(walk, each.table, column, statement)
    note_foreign_tables(walk, table, statement)
    casts = _casts(walk, table, column, after, explicit=explicit)
    for each in members:
        value = each.table.values.pop(column, None)
        if casts:
            if each.table is not table:
                _default_casts(walk, each.table, column, after)
            if value is not None and _collation(walk, old) == _collation(walk, new):
                same = _alike(before, after) and always_casts(before, after)
                cast = sql.SQL("({})::{}").format(value, sql.SQL(in_full(PLAIN.get(after, after))))
                each.table.values[column] = value if same else cast
            _what_is_on_it_fits(walk, each, column, after)
            _suits_collation(walk, each, old, new, value)
            stays_not_null(walk, each.table, column, before, after)
        each.table.types[column] = after


def _nothing_uses_it(walk: SchemaWalk, table: SimulatedTable, column: str, statement: str) -> None:
    views = [view for view, used in table.views.items() if column in used]
    walk.views_forbid(table, views, statement, column, stays=True)
    rows = walk.relatives.column_of_its_rows(table)
    for user in [*users_of(table, column), *([f"the column {rows}"] if rows else [])]:
        column_in_use(walk.ledger, table, column, statement, user)


def _suits_collation(
    walk: SchemaWalk,
    member: Member,
    old: Field[Any, Any],
    new: Field[Any, Any],
    value: Composable | None,
) -> None:
    """Report if the indexes reject a collation under which more texts are equal."""
    table, column, name = member.table, column_of(new), _collation(walk, new)
    if name is None or name == _collation(walk, old):
        return
    if is_deterministic(walk.connection, walk, name) is not False:
        return
    require_no_patterns(walk, member.own, column, name)
    if value is not None and name in walk.catalog.collations:
        table.values[column] = sql.SQL("({})::{} COLLATE {}").format(
            value, sql.SQL(in_full(PLAIN.get(table.types[column], "text"))), sql.Identifier(name)
        )
    unique_holds(walk, member.own, column)


def alter_null(
    walk: SchemaWalk, table: SimulatedTable, new: Field[Any, Any], default: object
) -> None:
    """SET NOT NULL, after Django has filled in a default, or DROP NOT NULL.

    `default` is Django's, UNKNOWN where only the project's code knows it.
    """
    column = column_of(new)
    if new.null == (column in table.not_null):
        walk.require_owned_children(table, column, "changing whether it may be NULL")
    if new.null:
        _drop_not_null(walk, table, column)
        return
    filled = new.has_default() or new.has_db_default()
    stands = table.weak_not_null.get(column)
    weak = [set_not_null(walk, each, column) for each in (table, *descendants(walk, table))]
    asks = any(weak) or column not in table.not_null
    # Django's UPDATE may fill in NULL again.
    given = filled and gives_value(walk, new, default)
    if asks and filled and given is None and new.has_db_default():
        walk.ledger.mark_undecided(f"whether the default of {table.label}.{column} is a value")
    if asks and given is False:
        walk.check_rows(
            table, f"whether {table.label}.{column} holds NULLs", nulls(table, column, stands)
        )
    if filled:
        require_fillable(walk, table, column)
        _fills_with_what_fits(walk, table, new, default)
    if asks and filled:
        if column in table.generated:
            refuse_computed(walk, table, column, f"filling {table.label}.{column}")
        fill(walk, table, column, None if default == UNKNOWN else default)
    table.not_null.add(column)


def _fills_with_what_fits(
    walk: SchemaWalk, table: SimulatedTable, new: Field[Any, Any], default: object
) -> None:
    """Report if what UPDATE fills in does not become the type: the planner computes it already."""
    type_ = table.types[column_of(new)]
    if new.has_db_default():
        database_default_fits(walk, table, new, type_, computed=PLANNED)
    elif default not in (None, UNKNOWN):
        require_value_fits(walk, table, column_of(new), type_, default)


def _drop_not_null(walk: SchemaWalk, table: SimulatedTable, column: str) -> None:
    if column not in table.not_null:
        return
    statement = f"dropping NOT NULL of {table.label}.{column}"
    if column in table.identities:
        refuse_computed(walk, table, column, statement)
    require_own_not_null(walk, table, column, statement)
    for each in family(walk, table):
        for name, (kind, columns) in each.own.constraints.items():
            if kind == PRIMARY_KEY and column in columns:
                column_in_use(walk.ledger, each.table, column, statement, f"the primary key {name}")
    table.not_null.discard(column)
    table.weak_not_null.pop(column, None)
    # As of PostgreSQL 18 it has a name, which is free then.
    table.constraints = {
        name: each for name, each in table.constraints.items() if each != (NOT_NULL, (column,))
    }


def _foreign_keys_hold(walk: SchemaWalk, table: SimulatedTable, column: str) -> None:
    """Report rows without a target, for the foreign keys that are checked again."""
    for key in walk.schema.foreign_keys:
        is_from_here = key.table is table and column in key.columns
        if key.copied:
            continue
        if key.validated and (is_from_here or (key.target is table and column in key.to_columns)):
            walk.check_rows(
                key.table,
                f"whether the rows of {key.table.label} satisfy {key.name}",
                orphans_of(walk.connection, key),
            )


def _alike(before: str, after: str) -> bool:
    kinds = {base(before), base(after)}
    return len(kinds) == 1 or kinds <= INTEGERS or kinds <= UNPADDED_TEXTS


def _collation(walk: SchemaWalk, field: Field[Any, Any]) -> str | None:
    collation: str | None = field.db_parameters(connection=walk.connection).get("collation")
    return collation


def _casts(
    walk: SchemaWalk, table: SimulatedTable, column: str, after: str, *, explicit: bool
) -> bool:
    """Report a type, default or values that cannot become `after`; return whether the type can."""
    before = table.types[column]
    if always_casts(before, after):
        return True
    may = castable(walk.connection, before, after, explicit=explicit)
    if may is False and walk.sees_everything():
        walk.ledger.find(
            "type-not-castable",
            f"{table.label}.{column} is {before}, which cannot become {after}"
            + ("" if explicit else " automatically"),
            hint=f"decide what each value becomes, and convert the column to {after} before "
            "migrate, with ALTER COLUMN and USING",
            table=table.label,
            column=column,
        )
        return False
    if may is None or may is False:
        walk.ledger.mark_undecided(f"whether {before} can become {after}")
    _default_casts(walk, table, column, after)
    probe = bad_casts(table, column, after, explicit=explicit, version=walk.catalog.version)
    question = f"whether every {table.label}.{column} can become {after}"
    # By assignment, PostgreSQL refuses a text or bits that are too long, and a cast cuts them off.
    if probe is not None or (modifiers(after) and not explicit and base(after) != "numeric"):
        walk.check_rows(table, question, probe)
    else:
        _values_cast(walk, table, column, after, question)
    return True


def _default_casts(walk: SchemaWalk, table: SimulatedTable, column: str, after: str) -> None:
    """Report a default that PostgreSQL does not convert, whatever USING says of the rows."""
    before = table.types[column]
    if column not in table.defaults or always_casts(before, after):
        return
    assignable = castable(walk.connection, before, after, explicit=False)
    if assignable is None or (assignable is False and not walk.sees_everything()):
        walk.ledger.mark_undecided(
            f"whether the default of {table.label}.{column} can become {after} automatically"
        )
    elif assignable is False:
        walk.ledger.find(
            "default-in-the-way",
            f"the default of {table.label}.{column} is {before} and cannot become {after} "
            "automatically",
            hint="until migrate has run, every INSERT must give a value",
            steps=without(table, column, "DEFAULT"),
            table=table.label,
            column=column,
        )


def _values_cast(
    walk: SchemaWalk, table: SimulatedTable, column: str, after: str, question: str
) -> None:
    """Report if PostgreSQL cannot cast the live values."""
    rows = walk.rows(table)
    if rows == 0:
        return
    if calls_others(walk, f"{quoted(column)}::{in_full(after)}"):
        walk.ledger.mark_undecided(f"{question}: {WHY}")
        return
    cast = sql.SQL("found.{}::{}").format(sql.Identifier(column), sql.SQL(in_full(after)))
    failure = fails_on_rows(walk.connection, table, cast, (column,)) if rows else None
    if failure is None:
        walk.ledger.mark_undecided(f"{question}: {BY_ROWS}", sort=BY_ROWS)
    elif failure:
        walk.ledger.find(
            "value-not-castable",
            f"some row holds a value in {table.label}.{column} that cannot become {after}: "
            f"{failure}",
            hint=f"correct the values that {after} does not accept, or choose a wider type",
            table=table.label,
            column=column,
        )


def _what_is_on_it_fits(walk: SchemaWalk, member: Member, column: str, after: str) -> None:
    """Report what PostgreSQL cannot rebuild, or no longer accepts, for the new type."""
    table, own, before = member.table, member.own, member.table.types[column]
    _foreign_keys_compare(walk, table, column, after)
    kinds = {base(before), base(after)}
    if not (kinds <= INTEGERS or (_alike(before, after) and always_casts(before, after))):
        unique_holds(walk, own, column)
    # With the same operator, PostgreSQL does not check again (TryReuseForeignKey, tablecmds.c).
    if len(kinds) > 1 and not kinds <= UNPADDED_TEXTS:
        _foreign_keys_hold(walk, table, column)
    if not _alike(before, after):
        special_indexes_fit(walk, own, column, after)
    _expressions_fit(walk, own, column, after, alike=_alike(before, after))


def _foreign_keys_compare(walk: SchemaWalk, table: SimulatedTable, column: str, after: str) -> None:
    for key in walk.schema.foreign_keys:
        if key.copied:
            continue
        pairs = zip(key.columns, key.to_columns, strict=True)
        for own, referenced in pairs:
            other = None
            if key.table is table and own == column:
                other = key.target.types.get(referenced)
            elif key.target is table and referenced == column:
                other = key.table.types.get(own)
            if other and not may_join(walk.connection, after, other):
                walk.ledger.find(
                    "foreign-key-type",
                    f"the foreign key {key.name} of {key.table.label} joins {table.label}.{column} "
                    f"with {base(other)}, which {base(after)} cannot be compared with",
                    hint="convert both columns to one type, and let the migration alter both",
                    table=table.label,
                    column=column,
                )


def _expressions_fit(
    walk: SchemaWalk, table: SimulatedTable, column: str, after: str, *, alike: bool
) -> None:
    """Report the checks and indexes on the column that do not fit its new type, or its rows.

    PostgreSQL checks all rows again, whatever the type (ATPostAlterTypeCleanup, tablecmds.c). With
    one that is alike, only those fail that contradict the check today.
    """
    for name, kind, expression, validated in expressions_on(walk, table, column):
        what = f"the {kind} {name} of {table.label}"
        if calls_others(walk, expression):
            walk.ledger.mark_undecided(f"whether {what} fits {column} as {after}: {WHY}")
            continue
        try:
            words = misfit(walk, table, expression, {column: after})
        except ForbiddenError as error:
            walk.check_rows(table, f"whether {what} is computed: {error}", None)
            continue
        if words:
            walk.ledger.find(
                "expression-in-the-way",
                f"{what} does not fit {column} as {after}: {words}",
                hint=f"drop the {kind} {name}, and recreate it afterwards",
                table=table.label,
                column=column,
            )
            continue
        if kind == "index":
            require_safe_path(walk, table, expression, what)
        if validated:
            decidable = kind == "check" and is_decidable(table, name)
            walk.check_rows(
                table,
                f"whether the rows suit {what} with {column} as {after}",
                violations(table, expression, table.constraints[name][1]) if decidable else None,
                taken_as_true=alike,
            )
