"""CREATE SEQUENCE and ALTER SEQUENCE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_ROW_EXCLUSIVE
from opsmigrate.preflight.interpret.altering import is_of_system
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.lookup import find_relation, find_type, home_of
from opsmigrate.preflight.interpret.named import name_parts, relation_named
from opsmigrate.preflight.interpret.schema import Relation, SequenceFacts
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name, range_name

HIGHEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
UNLOGGED_SEQUENCES = 150_000
OWNERS = "rfvp"

Options = Mapping[str, Any]


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateSeqStmt, says."""
    name = Name(home_of(step, node.sequence), range_name(node.sequence)[1])
    step.effects.need("CREATE", "schema", (name.schema,))
    if step.schema.is_taken(name):
        if node.if_not_exists:
            return
        step.refuse("42P07", "name-taken", relation=name)
    if name in step.schema.types:
        step.refuse("42710", "name-taken", relation=name)
    options = _options(step, node.options)
    facts = facts_of(step, options, None)
    restart = _number(step, options, "restart")
    if restart is not None and not facts.minimum <= restart <= facts.maximum:
        step.refuse("22023", "sequence-bounds")
    persistence = node.sequence.relpersistence
    if step.schema.version < UNLOGGED_SEQUENCES and persistence == "u":
        step.refuse("0A000", "unlogged-sequence", relation=name)
    sequence = Relation(
        name=name, kind="S", owner=step.schema.role, persistence=persistence, sequence=facts
    )
    # It is there before its owner is looked for, and may be what that name finds.
    step.put(sequence)
    step.put(replace(sequence, sequence=_owned(step, sequence, facts, options)))


def alter(step: Step, node: Any) -> None:
    """Do what `node`, an AlterSeqStmt, says."""
    sequence = find_relation(step, node.sequence, missing_ok=node.missing_ok)
    if sequence is None:
        return
    former = sequence.sequence
    if former is None:
        step.refuse("42809", "wrong-kind", relation=sequence.name)
    step.effects.lock(sequence.name, SHARE_ROW_EXCLUSIVE)
    step.effects.need("OWNER", "relation", sequence.name)
    options = _options(step, node.options)
    facts = facts_of(step, options, former)
    if options.keys() & {"maxvalue", "minvalue", "as", "restart"}:
        # Where the sequence has come to, has to lie between the two.
        question = Question(sqlstate="22023", kind="sequence", relation=sequence.name)
        step.effects.questions.append(question)
    owned = _owned(step, sequence, facts, options)
    if former.internal and "owned_by" in options:
        step.refuse("0A000", "identity-sequence", relation=sequence.name)
    step.put(replace(sequence, sequence=owned))


def _options(step: Step, nodes: Any) -> Options:
    found: dict[str, Any] = {}
    for each in nodes:
        option = each.def_elem
        if option.defname in found:
            step.refuse("42601", "option-twice", name=option.defname)
        found[option.defname] = option.arg
    if found.keys() & {"sequence_name", "logged", "unlogged"}:
        raise UnknownError("an option that only pg_dump writes")
    return found


def _number(step: Step, options: Options, name: str) -> int | None:
    if name not in options:
        return None
    node = options[name]
    if node.WhichOneof("node") == "integer":
        return int(node.integer.ival)
    if node.WhichOneof("node") == "float":
        try:
            return int(node.float.fval)
        except ValueError:
            step.refuse("22P02", "not-a-number", name=name)
    return None


def facts_of(step: Step, options: Options, former: SequenceFacts | None) -> SequenceFacts:
    """Return the sequence's facts as its options make them of the former ones (init_params)."""
    old = former or SequenceFacts()
    type_ = old.type
    if "as" in options:
        type_ = find_type(step.schema, options["as"].type_name)
        if type_ not in HIGHEST:
            step.refuse("22023", "sequence-type", name=type_)
    increment = _number(step, options, "increment")
    increment = old.increment if increment is None else increment
    if increment == 0:
        step.refuse("22023", "sequence-increment")
    minimum, maximum = _bounds(step, options, former, (type_, increment))
    start = _number(step, options, "start")
    if start is None:
        kept = former is not None
        start = old.start if kept else (minimum if increment > 0 else maximum)
    cache = _number(step, options, "cache")
    facts = replace(
        old,
        type=type_,
        increment=increment,
        minimum=minimum,
        maximum=maximum,
        start=start,
        cache=old.cache if cache is None else cache,
        cycle=options["cycle"].boolean.boolval if "cycle" in options else old.cycle,
    )
    lowest, highest = -HIGHEST[type_] - 1, HIGHEST[type_]
    in_type = lowest <= minimum <= highest and lowest <= maximum <= highest
    if not in_type or minimum >= maximum or not minimum <= start <= maximum or facts.cache < 1:
        step.refuse("22023", "sequence-bounds")
    return facts


def _bounds(
    step: Step, options: Options, former: SequenceFacts | None, kind: tuple[str, int]
) -> tuple[int, int]:
    type_, increment = kind
    highest = HIGHEST[type_]
    ascends = increment > 0
    own = (1 if ascends else -highest - 1, highest if ascends else -1)
    kept = own
    if former is not None:
        widest = HIGHEST[former.type]
        other = former.type != type_
        kept = (
            own[0] if other and former.minimum == -widest - 1 else former.minimum,
            own[1] if other and former.maximum == widest else former.maximum,
        )
    found = []
    for name, default, before in zip(("minvalue", "maxvalue"), own, kept, strict=True):
        given = _number(step, options, name)
        none = name in options and given is None
        found.append(default if none else before if given is None else given)
    return found[0], found[1]


def _owned(step: Step, sequence: Relation, facts: SequenceFacts, options: Options) -> SequenceFacts:
    if "owned_by" not in options:
        return facts
    parts = name_parts(options["owned_by"].list.items)
    if len(parts) == 1:
        if parts[0] != "none":
            step.refuse("42601", "owned-by", name=parts[0])
        return replace(facts, owner=None)
    table = relation_named(step, parts[:-1], missing_ok=False)
    if table is None:
        return facts
    if table.kind not in OWNERS:
        step.refuse("42809", "wrong-kind", relation=table.name)
    if table.owner != sequence.owner or table.name.schema != sequence.name.schema:
        step.refuse("55000", "other-owner", relation=table.name)
    if parts[-1] not in table.columns and not is_of_system(table, parts[-1]):
        step.refuse("42703", "missing-column", relation=table.name, column=parts[-1])
    return replace(facts, owner=(table.name, parts[-1]))


COMMANDS: Mapping[str, Command] = {"create_seq_stmt": create, "alter_seq_stmt": alter}
