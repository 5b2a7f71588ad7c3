"""The simulated schema after SQL that people wrote: taken over from the interpreted one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres import catalog
from opsmigrate.postgres.catalog import Dependent
from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.interpret.schema import Column, Constraint, Index, Relation, Schema
from opsmigrate.preflight.walk.simulated_table import (
    CHECK,
    FOREIGN_KEY,
    NOT_NULL,
    SimulatedForeignKey,
    SimulatedTable,
    constant,
)
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.sql.expressions import columns_used_by, is_constant, parse_expression
from opsmigrate.sql.grammar import quoted_if_needed
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import seen_type

TABLES = frozenset("rp")


def adopt(
    simulation: Simulation,
    before: Schema,
    after: Schema,
    *,
    code_runs: int,
    computed: Iterable[tuple[Name, str]] = (),
) -> None:
    """Let the simulation have what one statement has changed between these two schemas.

    `code_runs` is how often code had run by then: a new table has no rows until it runs again.
    `computed` are the columns whose values are others now.
    """
    former = dict(_renamed(before, after))
    gone = set(before.relations) - set(after.relations)
    tables = {
        name: simulation.table_of(former.get(name, name))
        for name in after.relations
        if name in former or before.relations.get(name) is not after.relations[name]
    }
    for name in gone:
        simulation.remove(name, before.relations[name].indexes)
    for name, table in tables.items():
        relation = after.relations[name]
        earlier = before.relations.get(former.get(name, name))
        if earlier is not None and name not in former:
            simulation.remove(name, earlier.indexes)
        if relation.kind in TABLES:
            table = table or SimulatedTable(
                schema=name.schema, name=name.name, made_after=code_runs
            )
            _become(table, relation, earlier, after)
            simulation.put(table, relation.indexes)
        else:
            simulation.take_name(name, relation.kind)
    for name, column in computed:
        anew = simulation.table_of(name)
        if anew is not None:
            anew.values.pop(column, None)
    changed = gone | set(tables) | set(former.values())
    _visible(simulation, after, {*_names(before, changed), *_names(after, changed)})
    for name in tables:
        _foreign_keys(simulation, after.relations[name])
    _users(simulation, before, after)
    simulation.extensions = set(after.extensions)


def _renamed(before: Schema, after: Schema) -> Iterator[tuple[Name, Name]]:
    """Yield the new and the former name of relations that are called anew."""
    gone = {name: each for name, each in before.relations.items() if name not in after.relations}
    for name, relation in after.relations.items():
        if name in before.relations:
            continue
        for old, earlier in gone.items():
            # What the plan makes has no live name, but the columns that it had.
            same = earlier.live == relation.live if relation.live else False
            if same or (earlier.live is None and earlier.columns is relation.columns):
                yield name, old


def _names(schema: Schema, changed: Iterable[Name]) -> Iterator[str]:
    """Yield the names of relations, and of their indexes."""
    for name in changed:
        if name in schema.relations:
            yield name.name
            yield from schema.relations[name].indexes


def _visible(simulation: Simulation, after: Schema, names: Iterable[str]) -> None:
    for each in names:
        simulation.see(each, after.visible(None, each))


def _become(
    table: SimulatedTable, relation: Relation, earlier: Relation | None, schema: Schema
) -> None:
    """Let the table be as the relation is."""
    numbers = {each.number: each for each in earlier.columns.values()} if earlier else {}
    origins, values = table.origins, table.values
    table.schema, table.name = relation.name
    table.kind, table.is_partition = relation.kind, relation.bound is not None
    table.unlogged = relation.persistence == "u"
    table.has_triggers = any(each.enabled != "D" for each in relation.triggers.values())
    table.numbers = relation.last_number
    table.origins, table.values = {}, {}
    for column in relation.columns.values():
        was = numbers.get(column.number)
        if was is not None and was.name in origins:
            table.origins[column.name] = origins[was.name]
        value = _value(column, was, values)
        if value is not None:
            table.values[column.name] = value
    columns = relation.columns.values()
    table.types = {each.name: seen_type(each.type, schema.visible_type) for each in columns}
    table.not_null = {each.name for each in columns if each.not_null}
    table.identities = {each.name for each in columns if each.identity}
    table.generated = {each.name for each in columns if each.generated}
    table.virtual = {each.name for each in columns if each.generated == "v"}
    table.inherited = frozenset(each.name for each in columns if each.parents)
    table.defaults = {
        each.name for each in columns if each.default and not (each.identity or each.generated)
    }
    table.constraints = {
        each.name: (each.kind, each.columns) for each in relation.constraints.values()
    }
    table.weak_not_null = {
        each.columns[0]: _catalogued(each)
        for each in relation.constraints.values()
        if each.kind == NOT_NULL and (each.no_inherit or not each.validated)
    }
    table.not_valid = {
        each.name: f"({each.condition})"
        for each in relation.constraints.values()
        if each.kind == CHECK and not each.validated and each.condition
    }
    table.made_checks = {
        each.name: f"({each.condition})"
        for each in relation.constraints.values()
        if each.kind == CHECK and each.condition
    }
    table.dependents = {
        name: users
        for name, users in (
            (each, _kept_users(table, relation, earlier, each)) for each in relation.columns
        )
        if users
    }
    for used, user in _own_users(relation):
        table.dependents.setdefault(used, set()).add(user)
    known = table.indexes
    table.indexes = {
        each.name: _simulated_index(each, known.get(each.name))
        for each in relation.indexes.values()
    }
    table.made_expressions = {
        name: texts
        for name, each in table.indexes.items()
        if (texts := tuple(filter(None, (each.expressions, each.predicate))))
    }


# What a relation itself says of these, and nothing else does.
OWN_USERS = frozenset({"trigger", "policy", "index", "default value"})


def _kept_users(
    table: SimulatedTable, relation: Relation, earlier: Relation | None, column: str
) -> set[Dependent]:
    """Return what others were known to use the column by, whatever it was called."""
    number = relation.columns[column].number
    was = (
        [each.name for each in earlier.columns.values() if each.number == number] if earlier else []
    )
    return {
        user
        for name in was
        for user in table.dependents.get(name, ())
        if user.kind not in OWN_USERS
    }


def _own_users(relation: Relation) -> Iterator[tuple[str, Dependent]]:
    """Yield the columns that triggers, policies, indexes and generated columns use."""
    label = _shown(relation.name)

    def of(kind: str, name: str, columns: Iterable[str]) -> Iterator[tuple[str, Dependent]]:
        for column in columns:
            yield column, Dependent(kind=kind, name=name)

    for trigger in relation.triggers.values():
        name = f"{quoted_if_needed(trigger.name)} on {label}"
        yield from of("trigger", name, trigger.columns)
    for policy in relation.policies.values():
        name = f"{quoted_if_needed(policy.name)} on {label}"
        for condition in filter(None, (policy.using, policy.check)):
            yield from of("policy", name, columns_used_by(condition))
    for index in relation.indexes.values():
        schema = quoted_if_needed(relation.name.schema)
        expressions = [key.expression for key in index.keys] + [index.predicate]
        if any(expressions):
            used = {each for text in filter(None, expressions) for each in columns_used_by(text)}
            used |= {key.column for key in index.keys if key.column}
            used |= set(index.include)
            yield from of("index", f"{schema}.{quoted_if_needed(index.name)}", used)
    for column in relation.columns.values():
        if column.generated and column.default:
            name = f"for {label}.{quoted_if_needed(column.name)}"
            yield from of("default value", name, columns_used_by(column.default))


def _value(column: Column, was: Column | None, values: dict[str, Composable]) -> Composable | None:
    """Return what the column holds in a row of the live table; None where that is not known."""
    if was is None:
        if column.generated or column.identity:
            return None
        if column.default is None:
            return constant(None, column.type)
        if is_constant(parse_expression(column.default)):
            return sql.SQL("({})::{}").format(sql.SQL(column.default), sql.SQL(column.type))
        return None
    return values.get(was.name) if column.type == was.type else None


def _catalogued(constraint: Constraint) -> catalog.Constraint:
    return catalog.Constraint(
        constraint.name,
        constraint.kind,
        constraint.columns,
        None,
        constraint.validated,
        no_inherit=constraint.no_inherit,
    )


def _simulated_index(index: Index, known: catalog.Index | None) -> catalog.Index:
    """Return an index as the walk has it; operator classes are those that were known of it."""
    columns = tuple(key.column or "" for key in index.keys)
    same = known is not None and known.columns == columns
    expressions = [key.expression for key in index.keys if key.expression is not None]
    return catalog.Index(
        name=index.name,
        columns=columns,
        unique=index.unique,
        primary=index.primary,
        valid=index.valid,
        immediate=index.immediate,
        partial=bool(expressions) or index.predicate is not None,
        method=index.method,
        special=any(key.operator_class is not None for key in index.keys),
        predicate=index.predicate,
        expressions=", ".join(expressions) or None,
        include=index.include,
        descending=tuple(key.descending for key in index.keys),
        opclasses=known.opclasses if known is not None and same else (),
        nulls_distinct=index.nulls_distinct,
    )


def _foreign_keys(simulation: Simulation, relation: Relation) -> None:
    """Have the foreign keys of this table; those to it stay what they are."""
    table = simulation.table_of(relation.name)
    if table is None:
        return
    for each in relation.constraints.values():
        target = simulation.table_of(each.target) if each.target else None
        if each.kind == FOREIGN_KEY and target is not None:
            simulation.foreign_keys.append(
                SimulatedForeignKey(
                    name=each.name,
                    table=table,
                    columns=each.columns,
                    target=target,
                    to_columns=each.to_columns,
                    index=each.index,
                    validated=each.validated,
                    copied=each.parent is not None,
                )
            )


def _shown(name: Name) -> str:
    return f"{quoted_if_needed(name.schema)}.{quoted_if_needed(name.name)}"


def _users(simulation: Simulation, before: Schema, after: Schema) -> None:
    """Have what views read, and what else uses the columns of the tables that were changed."""
    for name, view in before.relations.items():
        if view.uses and after.relations.get(name) is not view:
            for table in simulation.tables:
                table.views.pop(_shown(name), None)
    for name, view in after.relations.items():
        if view.uses and before.relations.get(name) is not view:
            for use in view.uses:
                used = simulation.table_of(use.relation)
                if used is not None:
                    shown = _shown(name)
                    used.views[shown] = used.views.get(shown, frozenset()) | {use.column or ""}
