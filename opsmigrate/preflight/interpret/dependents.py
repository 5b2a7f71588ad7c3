"""What rests on an object: the one place that knows, for every DROP, RESTRICT or CASCADE.

The rules are those of pg_depend: what rests normally on something needs CASCADE, what is there
only for its sake goes with it (PostgreSQL documentation, Dependency Tracking, and pg_depend).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of
from opsmigrate.preflight.interpret.mentions import (
    calls,
    casts_to,
    collates_by,
)
from opsmigrate.preflight.interpret.schema import (
    Constraint,
    Index,
    Policy,
    Relation,
    Schema,
    Signature,
)
from opsmigrate.preflight.interpret.thing import (
    AUTO,
    INTERNAL,
    NORMAL,
    Dependency,
    Thing,
    column,
    constraint,
    index,
    relation,
)
from opsmigrate.sql.expressions import (
    columns_used_by,
)
from opsmigrate.sql.names import Name
from opsmigrate.sql.renamed import has_subquery, mentions_relation
from opsmigrate.sql.statement import NotParsedError
from opsmigrate.sql.types import user_type, without_modifier

Found = Iterator[Dependency]
GENERATED_NEEDS_CASCADE = 150_000
KEYS = ("p", "u", "x")


def dependents(schema: Schema, thing: Thing) -> Found:
    """Yield what rests directly on the object, its own parts too; some may come twice."""
    for each in schema.dependencies.get(thing, ()):
        if not _is_gone(schema, each.by):
            yield each
    rule = RULES.get(thing.kind)
    if rule is not None:
        yield from rule(schema, thing)


def _is_gone(schema: Schema, thing: Thing) -> bool:
    """Return whether it was a trigger of a partition, detached since the catalog was read."""
    table = schema.relations.get(thing.name) if thing.kind == "trigger" else None
    return table is not None and thing.part not in table.triggers


def owner_of(schema: Schema, thing: Thing) -> Thing | None:
    """Return what the object is only a part of, and must be dropped in its stead; None for none."""
    rule = OWNERS.get(thing.kind)
    return rule(schema, thing) if rule is not None else None


def copy_of(schema: Schema, thing: Thing) -> Thing | None:
    """Return what a part of a partition has come from, without which it cannot be dropped."""
    rule = COPIES.get(thing.kind)
    return rule(schema, thing) if rule is not None else None


def _of_relation(schema: Schema, thing: Thing) -> Found:
    table = schema.relations[thing.name]
    for name in table.columns:
        yield from _on_column(schema, column(table.name, name))
        yield from schema.dependencies.get(column(table.name, name), ())
    for name in table.constraints:
        yield Dependency(constraint(table.name, name), AUTO)
    for name in table.indexes:
        yield Dependency(index(table.name, name), AUTO)
    for kind, parts in (("trigger", table.triggers), ("policy", table.policies)):
        yield from (Dependency(Thing(kind, table.name, name), AUTO) for name in parts)
    yield from (Dependency(Thing("rule", table.name, name), AUTO) for name in table.rules)
    yield from (Dependency(Thing("statistics", table.name, s), AUTO) for s in table.statistics)
    yield from _sequences_of(schema, table.name, SYSTEM_COLUMNS)
    yield from _on_relation(schema, table)


def _on_relation(schema: Schema, table: Relation) -> Found:
    for child in children_of(schema, table.name):
        is_partition = schema.relations[child].bound is not None
        yield Dependency(relation(child), AUTO if is_partition else NORMAL)
    for other in schema.relations.values():
        if any(use.relation == table.name for use in other.uses):
            yield Dependency(relation(other.name))
    yield from _mentioning(schema, table.name)
    # A sequence has no rows, and a type of its name is another.
    if table.kind != "S":
        yield from _of_type(schema, Thing("type", table.name))


def _mentioning(schema: Schema, name: Name) -> Found:
    """Yield what has a constant that names a relation or an index, as nextval() and regclass."""
    bare = schema.visible(None, name.name) == name
    yield from _calling(schema, lambda text: mentions_relation(text, name, bare=bare))


def _on_column(schema: Schema, thing: Thing) -> Found:
    table, name = schema.relations[thing.name], thing.part
    for each in table.constraints.values():
        own = table.indexes.get(each.index or "") if each.kind in KEYS else None
        carried = own is not None and name in own.include
        if name in each.columns or carried or _reads(each.condition, name):
            yield Dependency(constraint(table.name, each.name), AUTO)
    for built in table.indexes.values():
        if name in index_columns(built):
            yield Dependency(index(table.name, built.name), AUTO)
    how = NORMAL if schema.version >= GENERATED_NEEDS_CASCADE else AUTO
    for other in table.columns.values():
        if other.name != name and other.generated and _reads(other.default, name):
            yield Dependency(column(table.name, other.name), how)
    for policy in table.policies.values():
        if any(_reads(each, name) for each in conditions_of(policy)):
            yield Dependency(Thing("policy", table.name, policy.name))
    yield Dependency(Thing("default", table.name, name), AUTO)
    yield from _elsewhere(schema, table.name, name)


def conditions_of(policy: Policy) -> list[str]:
    """Return the conditions of a policy on its table alone; pg_depend tells of subqueries."""
    every = (policy.using, policy.check)
    return [each for each in every if each is not None and not has_subquery(each)]


def _elsewhere(schema: Schema, table: Name, name: str) -> Found:
    for other in schema.relations.values():
        if any(use == (table, name) for use in other.uses):
            yield Dependency(relation(other.name))
    yield from _sequences_of(schema, table, frozenset({name}))


def _sequences_of(schema: Schema, table: Name, columns: frozenset[str]) -> Found:
    for other in schema.relations.values():
        facts = other.sequence
        owner = None if facts is None else facts.owner
        if facts is not None and owner is not None and owner[0] == table and owner[1] in columns:
            yield Dependency(relation(other.name), INTERNAL if facts.internal else AUTO)


def index_columns(built: Index) -> tuple[str, ...]:
    """Return every column that an index is about: keys, expressions, INCLUDE, WHERE."""
    found = [*built.include, *_columns(built.predicate)]
    for key in built.keys:
        found += [key.column] if key.column is not None else _columns(key.expression)
    return tuple(found)


def _columns(expression: str | None) -> tuple[str, ...]:
    if expression is None:
        return ()
    try:
        return columns_used_by(expression)
    except NotParsedError:
        return ()


def _reads(expression: str | None, name: str) -> bool:
    return expression is not None and name in _columns(expression)


def _of_constraint(schema: Schema, thing: Thing) -> Found:
    table = schema.relations[thing.name]
    own = table.constraints[thing.part]
    if own.kind in KEYS and own.index is not None:
        yield Dependency(index(table.name, own.index), INTERNAL)
    for other in schema.relations.values():
        for each in other.constraints.values():
            if each.parent == (table.name, own.name):
                yield Dependency(constraint(other.name, each.name), INTERNAL)


def _of_index(schema: Schema, thing: Thing) -> Found:
    table, own = thing.name, Name(thing.name.schema, thing.part)
    yield from _mentioning(schema, own)
    for other in schema.relations.values():
        for built in other.indexes.values():
            if built.parent == own:
                yield Dependency(index(other.name, built.name), INTERNAL)
        for key in other.constraints.values():
            if key.kind == "f" and key.target == table and key.index == thing.part:
                yield Dependency(constraint(other.name, key.name))


def _of_type(schema: Schema, thing: Thing) -> Found:
    shown = user_type(thing.name)
    names = {shown, f"{shown}[]"}
    for other in schema.relations.values():
        for each in other.columns.values():
            if shown in each.type and without_modifier(each.type) in names:
                # What a view shows comes from what it reads.
                whole = other.kind in ("v", "m")
                yield Dependency(relation(other.name) if whole else column(other.name, each.name))
        if other.of_type == thing.name:
            yield Dependency(relation(other.name))
    for domain in schema.types.values():
        if domain.base is not None and without_modifier(domain.base) in names:
            yield Dependency(Thing("type", domain.name))
    for routine in schema.functions.values():
        if names.intersection((*routine.signature.arguments, routine.returns)):
            yield Dependency(Thing("function", routine.signature))
    yield from _calling(schema, lambda text: casts_to(text, thing.name))


def _of_function(schema: Schema, thing: Thing) -> Found:
    signature: Signature = thing.name
    for other in schema.relations.values():
        for trigger in other.triggers.values():
            if trigger.function == signature.name and not signature.arguments:
                yield Dependency(Thing("trigger", other.name, trigger.name))
    yield from _calling(schema, lambda text: calls(text, signature))


def _calling(schema: Schema, does: Callable[[str], bool]) -> Found:
    """Yield what has an expression for which `does` holds."""
    for other in schema.relations.values():
        for thing, expression in _expressions(other):
            if does(expression):
                yield Dependency(thing)
    for domain in schema.types.values():
        if domain.default is not None and does(domain.default):
            yield Dependency(Thing("type", domain.name))
        for name, (condition, _) in domain.checks.items():
            if does(condition):
                yield Dependency(Thing("domain constraint", domain.name, name))


def _expressions(table: Relation) -> Iterator[tuple[Thing, str]]:
    for each in table.columns.values():
        if each.default is not None:
            kind = "column" if each.generated else "default"
            yield Thing(kind, table.name, each.name), each.default
    for check in table.constraints.values():
        if check.condition is not None:
            yield constraint(table.name, check.name), check.condition
    parts = [
        (index(table.name, each.name), (each.predicate, *(key.expression for key in each.keys)))
        for each in table.indexes.values()
    ] + [
        (Thing("policy", table.name, each.name), (each.using, each.check))
        for each in table.policies.values()
    ]
    for thing, texts in parts:
        yield from ((thing, text) for text in texts if text is not None)


def _of_schema(schema: Schema, thing: Thing) -> Found:
    for table in schema.relations.values():
        if table.name.schema == thing.name:
            yield Dependency(relation(table.name))
    for kind in schema.types:
        if kind.schema == thing.name:
            yield Dependency(Thing("type", kind))
    for signature in schema.functions:
        if signature.name.schema == thing.name:
            yield Dependency(Thing("function", signature))
    for name, home in schema.extensions.items():
        if home == thing.name:
            yield Dependency(Thing("extension", name))


def _of_extension(schema: Schema, thing: Thing) -> Found:
    for table in schema.relations.values():
        if table.extension == thing.name:
            yield Dependency(relation(table.name), INTERNAL)
    for kind in schema.types.values():
        if kind.extension == thing.name:
            yield Dependency(Thing("type", kind.name), INTERNAL)
    for routine in schema.functions.values():
        if routine.extension == thing.name:
            yield Dependency(Thing("function", routine.signature), INTERNAL)
        elif routine.language == thing.name:
            yield Dependency(Thing("function", routine.signature))


def owning_constraint(table: Relation, name: str) -> Constraint | None:
    """Return the constraint whose index this is; None for an index of its own."""
    return next(
        (each for each in table.constraints.values() if each.kind in KEYS and each.index == name),
        None,
    )


def _owner_of_index(schema: Schema, thing: Thing) -> Thing | None:
    table = schema.relations[thing.name]
    own = owning_constraint(table, thing.part)
    return None if own is None else constraint(table.name, own.name)


def _parent_of_index(schema: Schema, thing: Thing) -> Thing | None:
    parent = schema.relations[thing.name].indexes[thing.part].parent
    top = None if parent is None else schema.table_of_index(parent)
    return None if parent is None or top is None else index(top.name, parent.name)


def _owner_of_relation(schema: Schema, thing: Thing) -> Thing | None:
    table = schema.relations[thing.name]
    if table.sequence is not None and table.sequence.internal and table.sequence.owner is not None:
        return column(*table.sequence.owner)
    return Thing("extension", table.extension) if table.extension is not None else None


def _parent_of_constraint(schema: Schema, thing: Thing) -> Thing | None:
    parent = schema.relations[thing.name].constraints[thing.part].parent
    return None if parent is None else constraint(*parent)


def _key_below(schema: Schema, thing: Thing) -> Thing | None:
    """A key to a partitioned table has one below it for each partition: it goes as a whole."""
    parent = schema.relations[thing.name].constraints[thing.part].parent
    return constraint(*parent) if parent is not None and parent[0] == thing.name else None


def _parent_of_trigger(schema: Schema, thing: Thing) -> Thing | None:
    parent = schema.relations[thing.name].triggers[thing.part].parent
    return None if parent is None else Thing("trigger", parent, thing.part)


def _of_trigger(schema: Schema, thing: Thing) -> Found:
    known = schema.relations[thing.name].triggers
    for child in children_of(schema, thing.name):
        triggers = schema.relations[child].triggers
        if any(each.parent == thing.name and each.name not in known for each in triggers.values()):
            # Before 15 either can be renamed without the other.
            raise UnknownError("triggers of a partition that are called otherwise")
        copy = triggers.get(thing.part)
        if copy is not None and copy.parent == thing.name:
            yield Dependency(Thing("trigger", child, thing.part), INTERNAL)


def _of_collation(schema: Schema, thing: Thing) -> Found:
    for other in schema.relations.values():
        for each in other.columns.values():
            if each.collation == thing.name:
                yield Dependency(column(other.name, each.name))
        for built in other.indexes.values():
            if any(key.collation == thing.name for key in built.keys):
                yield Dependency(index(other.name, built.name))
    yield from _calling(schema, lambda text: collates_by(text, thing.name))


def _extension_of(found: Any) -> Thing | None:
    return Thing("extension", found.extension) if found.extension is not None else None


RULES: dict[str, Callable[[Schema, Thing], Found]] = {
    "relation": _of_relation,
    "column": _on_column,
    "constraint": _of_constraint,
    "index": _of_index,
    "type": _of_type,
    "function": _of_function,
    "trigger": _of_trigger,
    "schema": _of_schema,
    "extension": _of_extension,
    "collation": _of_collation,
}
OWNERS: dict[str, Callable[[Schema, Thing], Thing | None]] = {
    "index": _owner_of_index,
    "constraint": _key_below,
    "relation": _owner_of_relation,
    "type": lambda schema, thing: _extension_of(schema.types[thing.name]),
    "function": lambda schema, thing: _extension_of(schema.functions[thing.name]),
}
COPIES: dict[str, Callable[[Schema, Thing], Thing | None]] = {
    "index": _parent_of_index,
    "constraint": _parent_of_constraint,
    "trigger": _parent_of_trigger,
}
