"""What a partitioned table is partitioned by."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.index_methods import default_class
from opsmigrate.preflight.interpret.schema import Key, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import columns_used
from opsmigrate.sql.grammar import parse, quoted_if_needed
from opsmigrate.sql.nodes import label


@lru_cache(maxsize=1024)
def partition_columns(partition_key: str) -> tuple[str | None, ...]:
    """Return the columns of a key as pg_get_partkeydef() writes it; None for each expression."""
    return tuple(as_stored(each.name) or None for each in _elements(partition_key))


@lru_cache(maxsize=1024)
def columns_in_key(partition_key: str) -> frozenset[str]:
    """Return all columns that a key names, in its expressions too."""
    found: set[str] = set()
    for each in _elements(partition_key):
        found |= {as_stored(each.name)} if each.name else set(columns_used(each.expr))
    return frozenset(found)


def _elements(partition_key: str) -> list[Any]:
    [statement] = parse(f"CREATE TABLE t () PARTITION BY {partition_key}")
    return [each.partition_elem for each in statement.node.partspec.part_params]


def require_partition_key(
    step: Step, table: Relation, keys: Sequence[Key], operators: Sequence[str]
) -> None:
    """Refuse a unique index that does not have all columns by which a table is partitioned.

    A key by another collation than the partitions' is another one (DefineIndex).
    """
    columns = partition_columns(table.partition_key or "")
    if None in columns:
        step.refuse("0A000", "partitioned-by-expression", relation=table.name)
    if any(each.collation for each in _elements(table.partition_key or "")):
        raise UnknownError("a partition key with a collation of its own", table.name)
    for name in columns:
        places = [
            place for place, key in enumerate(keys) if key.column == name and key.collation is None
        ]
        if not places:
            step.refuse("0A000", "without-partition-key", relation=table.name, column=name)
        if operators and operators[places[0]] != "=":
            step.refuse("0A000", "partition-key-not-equal", relation=table.name, column=name)


def partition_key_of(step: Step, table: Relation, node: Any) -> str:
    """Return what a PartitionSpec says, as pg_get_partkeydef() writes it; refuse what is wrong."""
    strategy = label(node, "strategy").removeprefix("PARTITION_STRATEGY_")
    elements = [each.partition_elem for each in node.part_params]
    if strategy == "LIST" and len(elements) > 1:
        step.refuse("42P17", "list-by-several", relation=table.name)
    parts = []
    for each in elements:
        if not each.name or each.opclass or each.collation:
            raise UnknownError("a partition key that is more than columns")
        name = as_stored(each.name)
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
        if table.columns[name].generated:
            step.refuse("42P17", "generated-column", relation=table.name, column=name)
        method = "hash" if strategy == "HASH" else "btree"
        if default_class(step.schema, method, table.columns[name].type) is None:
            step.refuse("42704", "no-operator-class", relation=table.name, column=name)
        parts.append(quoted_if_needed(name))
    return f"{strategy} ({', '.join(parts)})"
