"""SET LOGGED and SET UNLOGGED: the table is written anew, and its keys must allow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.sql.names import Name

# From this server on the sequences of a table go with it.
SEQUENCES_TOO = 150_000
LOGGED, UNLOGGED = "p", "u"
PARTITIONED_REFUSED = 180_000


def _prepare(persistence: str) -> Any:
    def prepare(altering: Altering, table: Name, command: Any) -> None:
        kinds = "r" if _refuses(altering) else "rp"
        relation = altering.allow(table, kinds if _keeps_sequences(altering) else f"{kinds}S")
        if relation.kind == "p":
            raise UnknownError("the persistence of a partitioned table", table)
        if relation.persistence == persistence:
            return
        _require_keys(altering, relation, persistence)
        altering.rewrite(table)

        def act() -> None:
            altering.step.put(replace(altering.relation(table), persistence=persistence))
            if _keeps_sequences(altering):
                return
            for each in _owned(altering, table):
                altering.lock(each.name)
                altering.step.put(replace(each, persistence=persistence))

        altering.later(Pass.MISCELLANEOUS, act)

    return prepare


def _refuses(altering: Altering) -> bool:
    return altering.step.schema.version >= PARTITIONED_REFUSED


def _keeps_sequences(altering: Altering) -> bool:
    return altering.step.schema.version < SEQUENCES_TOO


def _owned(altering: Altering, table: Name) -> list[Relation]:
    return [
        each
        for each in altering.step.schema.relations.values()
        if each.sequence is not None and each.sequence.owner and each.sequence.owner[0] == table
    ]


def _require_keys(altering: Altering, table: Relation, persistence: str) -> None:
    """Refuse a key from what is kept to what is not (ATPrepChangePersistence)."""
    relations = altering.step.schema.relations
    if persistence == LOGGED:
        for each in table.constraints.values():
            target = relations.get(each.target) if each.target else None
            if target is not None and target.name != table.name and target.persistence != LOGGED:
                altering.refuse("42P16", "refers-to-unlogged", table.name, name=each.name)
        return
    for other in relations.values():
        for each in other.constraints.values():
            if each.target == table.name != other.name and other.persistence == LOGGED:
                altering.refuse("42P16", "referred-to-by-logged", table.name, holder=each.name)


ACTIONS: Mapping[str, Action] = {
    "AT_SetLogged": Action(prepare=_prepare(LOGGED)),
    "AT_SetUnLogged": Action(prepare=_prepare(UNLOGGED)),
}
