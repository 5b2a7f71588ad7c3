"""REINDEX of a table or an index, CLUSTER, and ALTER TABLE … CLUSTER ON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE, SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.index_methods import METHODS
from opsmigrate.preflight.interpret.lookup import find_name, relation_of
from opsmigrate.preflight.interpret.rewriting import rebuild_indexes
from opsmigrate.preflight.interpret.roles import maintenance_of
from opsmigrate.preflight.interpret.schema import Index, Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

# Methods whose indexes have an order in which rows can be written (amclusterable).
CLUSTERABLE = ("btree", "gist")


def reindex(step: Step, node: Any) -> None:
    """Do what `node`, a ReindexStmt, says to a table or to an index."""
    kind = label(node, "kind")
    options = {each.def_elem.defname for each in node.params}
    said = any(each.def_elem.HasField("arg") for each in node.params)
    if said or options - {"concurrently", "verbose"}:
        raise UnknownError("the options of REINDEX")
    step.effects.concurrently = "concurrently" in options
    mode = SHARE_UPDATE_EXCLUSIVE if step.effects.concurrently else SHARE
    if kind == "REINDEX_OBJECT_TABLE":
        table = relation_of(step, node.relation)
        if table.kind not in "rm":
            if table.kind == "p":
                raise UnknownError("REINDEX of a partitioned table", table.name)
            step.refuse("42809", "wrong-kind", relation=table.name)
        # CONCURRENTLY passes over what is not valid.
        every = table.indexes.values()
        names = tuple(each.name for each in every if each.valid or mode == SHARE)
        _reindex(step, table, names, mode)
    elif kind == "REINDEX_OBJECT_INDEX":
        found = find_name(step, node.relation)
        if found is None:
            step.refuse("42P01", "missing-index", name=node.relation.relname)
        owner = step.schema.table_of_index(found)
        if owner is None:
            step.refuse("42809", "not-an-index", relation=found)
        if owner.kind == "p":
            raise UnknownError("REINDEX of a partitioned index", owner.name)
        _reindex(step, owner, (found.name,), mode)
    else:
        of_schema = kind == "REINDEX_OBJECT_SCHEMA"
        named = (as_stored(node.name),) if of_schema else ()
        step.effects.need("OWNER", "schema" if of_schema else "database", named)
        raise UnknownError(f"REINDEX of {kind}", rights_told=True)


def _reindex(step: Step, table: Relation, indexes: tuple[str, ...], mode: str) -> None:
    step.effects.lock(table.name, mode)
    step.effects.scans.add(table.name)
    step.effects.rights.append(maintenance_of(step, table.name))
    for each in indexes:
        index = table.indexes[each]
        if index.exclusion and mode == SHARE_UPDATE_EXCLUSIVE:
            raise UnknownError("REINDEX CONCURRENTLY of an exclusion constraint", table.name)
        step.effects.builds.add(Name(table.name.schema, each))
        step.effects.lock(Name(table.name.schema, each), ACCESS_EXCLUSIVE)
        if index.unique:
            columns = tuple(key.column for key in index.keys if key.column)
            step.effects.questions.append(
                Question(sqlstate="23505", kind="unique", relation=table.name, columns=columns)
            )
        step.put(step.known(table.name).with_index(replace(index, valid=True)))


def cluster(step: Step, node: Any) -> None:
    """Do what `node`, a ClusterStmt, says: write a table in the order of an index."""
    if not node.HasField("relation"):
        raise UnknownError("CLUSTER of every table")
    table = relation_of(step, node.relation)
    step.effects.lock(table.name, ACCESS_EXCLUSIVE)
    step.effects.rights.append(maintenance_of(step, table.name))
    if table.kind == "p":
        raise UnknownError("CLUSTER of a partitioned table", table.name)
    if table.kind not in "rm":
        step.refuse("42809", "wrong-kind", relation=table.name)
    name = as_stored(node.indexname)
    if not name:
        index = next((each for each in table.indexes.values() if each.clustered), None)
        if index is None:
            step.refuse("42704", "no-clustered-index", relation=table.name)
    else:
        index = _clusterable(step, table, name)
    step.put(_marked(table, index.name))
    step.effects.rewrites.add(table.name)
    step.effects.scans.add(table.name)
    rebuild_indexes(step, table.name)


def _clusterable(step: Step, table: Relation, name: str) -> Index:
    """Return an index by which a table may be sorted (check_index_is_clusterable)."""
    index = table.indexes.get(name)
    if index is None:
        if step.schema.is_taken(Name(table.name.schema, name)):
            step.refuse("42809", "index-of-another-table", relation=table.name, name=name)
        step.refuse("42704", "missing-index", relation=table.name, name=name)
    if index.method not in METHODS or index.method not in CLUSTERABLE:
        step.refuse("0A000", "not-clusterable", relation=table.name, name=name)
    if index.predicate is not None:
        step.refuse("0A000", "partial-index", relation=table.name, name=name)
    if not index.valid:
        step.refuse("0A000", "invalid-index", relation=table.name, name=name)
    return index


def _marked(table: Relation, name: str | None) -> Relation:
    indexes = {key: replace(each, clustered=key == name) for key, each in table.indexes.items()}
    return replace(table, indexes=indexes)


def _prepare_on(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rmp")
    name = as_stored(command.name)

    def act() -> None:
        relation = altering.relation(table)
        index = _clusterable(altering.step, relation, name)
        if relation.kind == "p":
            altering.refuse("0A000", "partitioned", table)
        altering.step.put(_marked(relation, index.name))

    altering.later(Pass.MISCELLANEOUS, act)


def _prepare_without(altering: Altering, table: Name, command: Any) -> None:
    relation = altering.allow(table, "rmp")

    def act() -> None:
        if relation.kind == "p":
            altering.refuse("0A000", "partitioned", table)
        altering.step.put(_marked(altering.relation(table), None))

    altering.later(Pass.MISCELLANEOUS, act)


ACTIONS: Mapping[str, Action] = {
    "AT_ClusterOn": Action(prepare=_prepare_on, lock=SHARE_UPDATE_EXCLUSIVE),
    "AT_DropCluster": Action(prepare=_prepare_without, lock=SHARE_UPDATE_EXCLUSIVE),
}
COMMANDS: Mapping[str, Command] = {"reindex_stmt": reindex, "cluster_stmt": cluster}
