"""CREATE TRIGGER, and ALTER TABLE … ENABLE and DISABLE TRIGGER."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from opsmigrate.postgres.lock_modes import SHARE_ROW_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, Action, Altering, Pass
from opsmigrate.preflight.interpret.dropping import TRIGGERS_OF_PARTITIONED
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, condition
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.lookup import SYSTEM_SCHEMAS, relation_of
from opsmigrate.preflight.interpret.made_names import has_constraint
from opsmigrate.preflight.interpret.mentions import named_in
from opsmigrate.preflight.interpret.named import name_parts
from opsmigrate.preflight.interpret.schema import Constraint, Relation, Signature, Trigger
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import Dependency, Thing, column, without_holder
from opsmigrate.sql.expressions import nodes_in, references
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.names import Name

# Bits of pg_trigger.tgtype (TRIGGER_TYPE_… in pg_trigger.h).
ROW, BEFORE, INSERT, DELETE, UPDATE, TRUNCATE, INSTEAD = (1 << bit for bit in range(7))


class Reads(NamedTuple):
    """What a trigger rests on: columns of its table, and the functions and types of its WHEN."""

    columns: set[str]
    others: set[Thing]


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateTrigStmt, says."""
    table = relation_of(step, node.relation)
    type_ = (ROW if node.row else 0) | node.timing | node.events
    _fits(step, table, type_, node)
    step.effects.need("TRIGGER", "relation", table.name)
    if node.HasField("constrrel"):
        step.effects.need("TRIGGER", "relation", relation_of(step, node.constrrel).name)
    function = _function(step, node)
    columns = name_parts(node.columns)
    for name in columns:
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
    if len(set(columns)) < len(columns):
        step.refuse("42701", "column-twice", relation=table.name)
    reads = Reads({*columns, *_when(step, table, type_, node)}, _named(step, node))
    trigger = Trigger(
        name=as_stored(node.trigname),
        function=function,
        type=type_,
        columns=columns,
        when=node.HasField("when_clause"),
        constraint=node.isconstraint,
        deferrable=node.deferrable,
        deferred=node.initdeferred,
    )
    _put(step, table.name, trigger, reads, replaces=node.replace)


def _put(step: Step, table: Name, trigger: Trigger, reads: Reads, *, replaces: bool) -> None:
    own = step.known(table)
    step.effects.lock(table, SHARE_ROW_EXCLUSIVE)
    former = own.triggers.get(trigger.name)
    if former is not None and (
        not replaces or former.constraint or former.parent != trigger.parent
    ):
        step.refuse("42710", "name-taken", relation=table, name=trigger.name)
    if trigger.constraint and has_constraint(own, trigger.name):
        # It makes a constraint, of which only the catalog says that there is one.
        step.refuse("23505", "name-taken", relation=table, name=trigger.name)
    thing = Thing("trigger", table, trigger.name)
    dependencies = dict(without_holder(step.schema.dependencies, thing))
    for on in (*(column(table, name) for name in reads.columns), *reads.others):
        dependencies[on] = dependencies.get(on, frozenset()) | {Dependency(thing)}
    step.schema = replace(step.schema, dependencies=dependencies)
    step.put(replace(own, triggers={**own.triggers, trigger.name: trigger}))
    if own.kind == "p" and trigger.type & ROW:
        for child in children_of(step.schema, table):
            step.effects.need("TRIGGER", "relation", child)
            _put(step, child, replace(trigger, parent=table), reads, replaces=replaces)


def _fits(step: Step, table: Relation, type_: int, node: Any) -> None:
    instead, row = type_ & INSTEAD, type_ & ROW
    wrong = {
        "r": instead,
        "p": instead or (node.transition_rels and row),
        "v": (row and not instead) or type_ & TRUNCATE,
        "f": instead or (type_ & TRUNCATE and row) or node.isconstraint,
    }
    if table.kind not in wrong or wrong[table.kind]:
        step.refuse("42809", "wrong-kind", relation=table.name)
    if (type_ & TRUNCATE and row) or (instead and (node.columns or not row)):
        step.refuse("0A000", "no-such-trigger", relation=table.name)
    if (instead and node.HasField("when_clause")) or (node.isconstraint and node.replace):
        step.refuse("0A000", "no-such-trigger", relation=table.name)
    if node.transition_rels:
        raise UnknownError("a trigger with transition tables", table.name)


def _function(step: Step, node: Any) -> Name:
    parts = name_parts(node.funcname)
    schema = parts[-2] if len(parts) > 1 else None
    for home in (schema,) if schema else step.schema.search_path:
        signature = Signature(Name(home, parts[-1]), ())
        found = step.schema.functions.get(signature)
        if found is not None:
            if found.returns != "trigger":
                step.refuse("42P17", "returns-no-trigger", name=parts[-1])
            step.effects.need("EXECUTE", "function", (home, parts[-1]))
            return signature.name
    system = step.schema.system.functions.get(parts[-1], ())
    plain = [each for each in system if not each.arguments]
    if schema in (None, "pg_catalog") and plain:
        if plain[0].result != "trigger":
            step.refuse("42P17", "returns-no-trigger", name=parts[-1])
        return Name("pg_catalog", parts[-1])
    if schema is not None and schema not in step.schema.schemas and schema not in SYSTEM_SCHEMAS:
        step.refuse("3F000", "missing-schema", name=schema)
    return step.refuse("42883", "missing-routine", name=parts[-1])


def _when(step: Step, table: Relation, type_: int, node: Any) -> set[str]:
    """Return the columns that the condition reads."""
    if not node.HasField("when_clause"):
        return set()
    found = set()
    for parts in references(node.when_clause):
        if len(parts) < 2 or parts[0] not in ("new", "old"):
            raise UnknownError("a condition of a trigger", table.name)
        _seen(step, table, type_, parts[0])
        if parts[1] == "*":
            continue
        if parts[1] in SYSTEM_COLUMNS:
            raise UnknownError("a column of the system in a condition of a trigger", table.name)
        if parts[1] not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=parts[1])
        generated = table.columns[parts[1]].generated
        if parts[0] == "new" and type_ & BEFORE and generated:
            step.refuse("42P17", "generated-column", relation=table.name, column=parts[1])
        found.add(parts[1])
    _look_at_condition(step, table, node.when_clause)
    return found


def _named(step: Step, node: Any) -> set[Thing]:
    return set(named_in(step.schema, node.when_clause)) if node.HasField("when_clause") else set()


def _look_at_condition(step: Step, table: Relation, node: Any) -> None:
    """Refuse what is wrong in a WHEN; where it is not all understood, it is not read."""
    bare = copy.deepcopy(node)
    for each in nodes_in(bare):
        if each.DESCRIPTOR.name == "ColumnRef":
            del each.fields[0]
    if sorted(references(node)) == [("new", "*"), ("old", "*")] and "DISTINCT" in deparse(node):
        # Whether anything is another.
        return
    try:
        condition(Place(schema=step.schema, table=table, word="trigger"), bare)
    except UnknownError:
        step.effects.unread = True


def _seen(step: Step, table: Relation, type_: int, row: str) -> None:
    unseen = DELETE if row == "new" else INSERT
    if not type_ & ROW or type_ & unseen:
        step.refuse("42P17", "no-such-row", relation=table.name, name=row)


def _switch(fires: str, which: str) -> Action:
    """Return the subcommand that lets one trigger, or those of users, or all, fire so."""

    def prepare(altering: Altering, table: Name, command: Any) -> None:
        altering.allow(table, "rpf")
        name = as_stored(command.name) if which == "one" else None
        altering.later(Pass.MISCELLANEOUS, lambda: _set(altering, table, fires, name))
        if which == "all":
            # Those of foreign keys too, which the schema does not have.
            altering.later(Pass.MISCELLANEOUS, lambda: _unknown_keys(altering, table))

    return Action(prepare=prepare, lock=SHARE_ROW_EXCLUSIVE)


def _unknown_keys(altering: Altering, table: Name) -> None:
    schema = altering.step.schema
    family: tuple[Name, ...] = (table,)
    if schema.relations[table].kind == "p":
        # It goes on to those that a trigger of the table itself is for.
        old = schema.version < TRIGGERS_OF_PARTITIONED
        family = () if old else (table, *descendants_of(schema, table))
    keys = [
        each
        for relation in schema.relations.values()
        for each in relation.constraints.values()
        if (relation.name in family and (each.kind == "f" or each.deferrable))
        or each.target in family
    ]
    if any(each.target == table or each in keys for each in _keys_at(altering, table)):
        for name in () if altering.only else family[1:]:
            altering.step.effects.lock(name, altering.mode)
    if keys:
        altering.step.effects.need("SUPERUSER", "role", ())
        altering.step.effects.outside.append("the triggers of foreign keys")


def _keys_at(altering: Altering, table: Name) -> list[Constraint]:
    """Return the constraints of the table, and those of others that refer to it."""
    schema = altering.step.schema
    every = [each for other in schema.relations.values() for each in other.constraints.values()]
    own = schema.relations[table].constraints.values()
    return [*own, *(each for each in every if each.target == table)]


def _set(altering: Altering, table: Name, fires: str, name: str | None) -> None:
    own = altering.relation(table)
    if name is not None and name not in own.triggers:
        altering.refuse("42704", "missing-trigger", table, name=name)
    chosen = [each for each in own.triggers.values() if name in (None, each.name)]
    changed = {each.name: replace(each, enabled=fires) for each in chosen}
    altering.step.put(replace(own, triggers={**own.triggers, **changed}))
    if altering.only or own.kind != "p":
        return
    for child in children_of(altering.step.schema, table):
        for each in chosen:
            copy = altering.relation(child).triggers.get(each.name)
            if copy is not None and copy.parent == table:
                altering.step.effects.lock(child, altering.mode)
                _set(altering, child, fires, each.name)


ACTIONS: Mapping[str, Action] = {
    "AT_EnableTrig": _switch("O", "one"),
    "AT_EnableAlwaysTrig": _switch("A", "one"),
    "AT_EnableReplicaTrig": _switch("R", "one"),
    "AT_DisableTrig": _switch("D", "one"),
    "AT_EnableTrigAll": _switch("O", "all"),
    "AT_DisableTrigAll": _switch("D", "all"),
    "AT_EnableTrigUser": _switch("O", "users"),
    "AT_DisableTrigUser": _switch("D", "users"),
}
COMMANDS: Mapping[str, Command] = {"create_trig_stmt": create}
