"""DROP of anything: what goes along, what forbids it, what it locks, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from opsmigrate.preflight.interpret.dependents import copy_of, dependents, owner_of
from opsmigrate.preflight.interpret.effects import Loss, UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.thing import NORMAL, Thing, relation
from opsmigrate.sql.names import Name

# From this server on the triggers of foreign keys are those of partitioned tables too.
TRIGGERS_OF_PARTITIONED = 150_000
ORIGINAL = "original"
# What is in a relation, and named by it.
PARTS = frozenset(
    {"column", "default", "constraint", "index", "trigger", "policy", "rule", "statistics"}
)


def drop(step: Step, things: Iterable[Thing], *, cascade: bool) -> None:
    """Drop these and what rests on them; refuse as the server where that needs CASCADE (2BP01).

    Also DROP COLUMN and DROP CONSTRAINT come here, for one relation: going on to the tables that
    inherit is theirs to do, by naming all columns or constraints at once.
    """
    targets = tuple(things)
    found = _Found(step.schema)
    _require_known(step, targets)
    for target in targets:
        owner = owner_of(step.schema, target)
        if owner is not None and owner not in targets:
            step.refuse("2BP01", "required-by-another", **_about(target), holder=_shown(owner))
        found.add(target)
    for thing in found.how:
        above = copy_of(step.schema, thing)
        if above is not None and not found.how.keys() & {above, relation(thing.name)}:
            step.refuse("2BP01", "required-by-another", **_about(thing), holder=_shown(above))
    lost = [
        thing for thing, how in found.how.items() if how == {NORMAL} and not found.is_column(thing)
    ]
    extension = any(target.kind == "extension" for target in targets)
    if extension and lost and all(thing.kind == "other" for thing in lost):
        # Operator classes, casts: of which the schema does not say whether they are its own.
        raise UnknownError(f"whether all that rests on {_shown(targets[0])} is its own")
    # What may be gone already stands in nobody's way.
    there = [thing for thing in lost if thing.name not in step.schema.tainted]
    if there and not cascade:
        step.refuse("2BP01", "used-by-another", **_about(targets[0]), holder=_shown(there[0]))
    try:
        _require_known(step, found.how)
    except UnknownError as error:
        # Whether the targets go, rests on it.
        names = [each.name for each in targets if each.kind == "relation" or each.kind in PARTS]
        raise UnknownError(error.unknown.why, *error.unknown.relations, *names) from error
    for thing in found.how:
        _lock(step, thing)
    step.effects.lost += [Loss(*_loss(thing)) for thing in lost if found.is_top(thing)]
    step.schema = without(step.schema, tuple(found.how))


def _require_known(step: Step, things: Iterable[Thing]) -> None:
    for thing in things:
        if thing.kind in PARTS or thing.kind == "relation":
            step.known(thing.name)


@dataclass
class _Found:
    """What goes, and by what kinds of dependency it was reached (findDependentObjects)."""

    schema: Schema
    how: dict[Thing, set[str]] = field(default_factory=dict)

    def add(self, target: Thing) -> None:
        """Follow what rests on a target."""
        waiting: list[tuple[Thing, str, Thing | None]] = [(target, ORIGINAL, None)]
        while waiting:
            thing, how, came_from = waiting.pop()
            owner = owner_of(self.schema, thing)
            # Of a partition of a partition, what its key belongs to belongs to another.
            while owner is not None and not _includes(came_from, owner) and how != ORIGINAL:
                # What goes for the sake of its part needs CASCADE (DEPFLAG_REVERSE).
                thing, owner, how = owner, owner_of(self.schema, owner), NORMAL
            known = self.how.get(thing)
            if known is not None:
                known.add(how)
                continue
            self.how[thing] = {how}
            waiting += [(each.by, each.how, thing) for each in dependents(self.schema, thing)]

    def is_column(self, thing: Thing) -> bool:
        """Return whether it is a column of a relation that goes."""
        return thing.kind == "column" and relation(thing.name) in self.how

    def is_top(self, thing: Thing) -> bool:
        """Return whether it is not a part of a relation that goes as a whole."""
        return thing.kind not in PARTS or relation(thing.name) not in self.how


def _includes(whole: Thing | None, part: Thing) -> bool:
    return whole is not None and (
        whole == part or (whole.kind == "relation" and part == (part.kind, whole.name, part.part))
    )


def _lock(step: Step, thing: Thing) -> None:
    """Lock what PostgreSQL opens to remove it (RemoveConstraintById and its like)."""
    if thing.kind == "relation":
        step.effects.lock(thing.name, ACCESS_EXCLUSIVE)
        _lock_parents(step, step.schema.relations[thing.name])
    elif thing.kind == "index":
        step.effects.lock(thing.name, ACCESS_EXCLUSIVE)
        step.effects.lock(Name(thing.name.schema, thing.part), ACCESS_EXCLUSIVE)
        if step.schema.relations[thing.name].kind == "p":
            # The partitions as well, whether or not theirs belong to it.
            for child in descendants_of(step.schema, thing.name):
                step.effects.lock(child, ACCESS_EXCLUSIVE)
    elif thing.kind == "statistics":
        step.effects.lock(thing.name, SHARE_UPDATE_EXCLUSIVE)
    elif thing.kind in PARTS:
        step.effects.lock(thing.name, ACCESS_EXCLUSIVE)
        if thing.kind == "constraint":
            own = step.schema.relations[thing.name].constraints[thing.part]
            # Of a partition's key, the triggers on the other table are the partitioned table's.
            above = own.parent is None or own.parent[0] == thing.name
            target = None if own.target is None else step.schema.relations.get(own.target)
            old = step.schema.version < TRIGGERS_OF_PARTITIONED
            if target is not None and old and target.kind == "p":
                return
            # Only what is enforced has triggers on the other table.
            if own.target is not None and above and own.enforced:
                step.effects.lock(own.target, ACCESS_EXCLUSIVE)


def _lock_parents(step: Step, table: Relation) -> None:
    """A partition leaves its parent, and the default one may then take its rows."""
    if table.bound is None:
        return
    for parent in table.parents:
        step.effects.lock(parent, ACCESS_EXCLUSIVE)
        for child in children_of(step.schema, parent):
            if step.schema.relations[child].bound == "DEFAULT":
                step.effects.lock(child, ACCESS_EXCLUSIVE)


def without(schema: Schema, things: Iterable[Thing]) -> Schema:
    """Return the schema without these, and without what it knew about them."""
    gone = set(things)
    for thing in gone:
        if thing.kind in PARTS:
            schema = _without_part(schema, thing)
    names = {thing.name for thing in gone if thing.kind == "relation"}
    kept = {name: each for name, each in schema.relations.items() if name not in names}
    schemas = _left(schema.schemas, gone, "schema")
    return replace(
        schema,
        relations=kept,
        tainted=schema.tainted - names,
        types=_without_checks(_left(schema.types, gone, "type"), gone),
        functions=_left(schema.functions, gone, "function"),
        schemas=schemas,
        search_path=tuple(each for each in schema.search_path if each in schemas),
        extensions=_left(schema.extensions, gone, "extension"),
        collations=schema.collations - {thing.name for thing in gone if thing.kind == "collation"},
        dependencies={
            thing: left
            for thing, every in schema.dependencies.items()
            if thing not in gone
            and not (thing.kind in PARTS and relation(thing.name) in gone)
            and (left := frozenset(each for each in every if each.by not in gone))
        },
    )


def _left(mapping: Any, gone: set[Thing], kind: str) -> Any:
    return {key: each for key, each in mapping.items() if Thing(kind, key) not in gone}


def _without_checks(types: Any, gone: set[Thing]) -> Any:
    for thing in gone:
        if thing.kind == "domain constraint" and thing.name in types:
            domain = types[thing.name]
            checks = {name: each for name, each in domain.checks.items() if name != thing.part}
            types[thing.name] = replace(domain, checks=checks)
    return types


def _without_part(schema: Schema, thing: Thing) -> Schema:
    table = schema.relations[thing.name]
    return schema.with_relation(REMOVE[thing.kind](table, thing.part))


def _without_key(name: str) -> Callable[[Relation, Any], Relation]:
    def remove(table: Relation, part: Any) -> Relation:
        left = {key: each for key, each in getattr(table, name).items() if key != part}
        changes: dict[str, Any] = {name: left}
        return replace(table, **changes)

    return remove


def _without_default(table: Relation, part: str) -> Relation:
    own = table.columns.get(part)
    if own is None:
        return table
    return table.with_column(replace(own, default=None, generated=""))


def _without_constraint(table: Relation, part: str) -> Relation:
    gone = table.constraints.get(part)
    if gone is not None and gone.kind == "n":
        own = table.columns.get(gone.columns[0]) if gone.columns else None
        if own is not None:
            table = table.with_column(replace(own, not_null=False))
    return _without_key("constraints")(table, part)


def _without_statistics(table: Relation, part: Name) -> Relation:
    kept, expressions = table.statistics - {part}, table.of_expressions - {part}
    return replace(table, statistics=kept, of_expressions=expressions)


REMOVE: dict[str, Callable[[Relation, Any], Relation]] = {
    "column": _without_key("columns"),
    "default": _without_default,
    "constraint": _without_constraint,
    "index": _without_key("indexes"),
    "trigger": _without_key("triggers"),
    "policy": _without_key("policies"),
    "rule": _without_key("rules"),
    "statistics": _without_statistics,
}


def _about(thing: Thing) -> dict[str, Any]:
    if thing.kind == "relation":
        return {"relation": thing.name}
    if thing.kind == "column":
        return {"relation": thing.name, "column": thing.part}
    if thing.kind in PARTS:
        return {"relation": thing.name, "name": str(thing.part)}
    return {"name": _shown(thing)}


def _loss(thing: Thing) -> tuple[str, Name | None, str]:
    if thing.kind in PARTS:
        return thing.kind, thing.name, str(thing.part)
    if thing.kind == "relation":
        return thing.kind, thing.name, thing.name.name
    return thing.kind, None, _shown(thing)


def _shown(thing: Thing | None) -> str:
    if thing is None:
        return ""
    if thing.kind == "function":
        name, arguments = thing.name
        return f"{name}({', '.join(arguments)})"
    return f"{thing.name}.{thing.part}" if thing.part else str(thing.name)
