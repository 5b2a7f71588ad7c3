"""CREATE STATISTICS; ANALYZE, which fills them; VACUUM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.index_methods import is_ordered
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.named import name_parts
from opsmigrate.preflight.interpret.rewriting import rebuild_indexes
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import AUTO, Dependency, Thing, column
from opsmigrate.sql.names import Name

# The first releases that ask for CREATE on the schema of new statistics (CVE-2025-12817).
ASKS_FOR_SCHEMA = {14: 140_020, 15: 150_015, 16: 160_011, 17: 170_007, 18: 180_001}
STATISTICS = frozenset({"ndistinct", "dependencies", "mcv"})
# STATS_MAX_DIMENSIONS
MOST_COLUMNS = 8
# From this server on, ANALYZE goes on to the descendants, but for ONLY.
GOES_DOWN = 180_000


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateStatsStmt, says."""
    table = relation_of(step, node.relations[0].range_var)
    if len(node.relations) > 1 or not node.defnames:
        raise UnknownError("statistics without a name", table.name)
    if table.kind not in "rmfp":
        step.refuse("42809", "wrong-kind", relation=table.name)
    step.effects.lock(table.name, SHARE_UPDATE_EXCLUSIVE)
    step.effects.need("OWNER", "relation", table.name)
    parts = name_parts(node.defnames)
    if len(parts) > 1 and parts[-2].startswith("pg_"):
        raise UnknownError("statistics in a schema of PostgreSQL's own", table.name)
    home = step.schema.home(parts[-2] if len(parts) > 1 else None)
    if home is None:
        step.refuse("3F000", "missing-schema", name=parts[0])
    if step.schema.version >= ASKS_FOR_SCHEMA.get(step.schema.version // 10_000, 0):
        step.effects.need("CREATE", "schema", (home,))
    name = Name(home, parts[-1])
    if any(name in each.statistics for each in step.schema.relations.values()):
        if node.if_not_exists:
            return
        step.refuse("42710", "name-taken", name=name.name)
    columns = _columns(step, table, node)
    by = frozenset({Dependency(Thing("statistics", table.name, name), AUTO)})
    dependencies = dict(step.schema.dependencies)
    for each in columns:
        on = column(table.name, each)
        dependencies[on] = dependencies.get(on, frozenset()) | by
    step.schema = replace(step.schema, dependencies=dependencies)
    step.put(replace(table, statistics=table.statistics | {name}))


def _columns(step: Step, table: Relation, node: Any) -> list[str]:
    columns = [as_stored(each.stats_elem.name) for each in node.exprs if each.stats_elem.name]
    if len(columns) < len(node.exprs) or len(columns) < 2:
        step.schema = replace(step.schema, incomplete="statistics on expressions")
        raise UnknownError("statistics on expressions", table.name, rights_told=True)
    if len(columns) > MOST_COLUMNS:
        step.refuse("54011", "too-many-columns", relation=table.name)
    for each in columns:
        if each in SYSTEM_COLUMNS:
            step.refuse("0A000", "system-column", relation=table.name, column=each)
        if each not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=each)
        if table.columns[each].generated == "v":
            step.refuse("0A000", "virtual-column", relation=table.name, column=each)
        if not is_ordered(step.schema, table.columns[each].type):
            step.refuse("0A000", "not-ordered", relation=table.name, column=each)
    if not STATISTICS.issuperset(name_parts(node.stat_types)):
        step.refuse("42601", "no-such-statistics", relation=table.name)
    if len(set(columns)) < len(columns):
        step.refuse("42701", "column-twice", relation=table.name)
    return columns


def _require_columns(step: Step, table: Relation, names: list[str]) -> None:
    for name in names:
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
    if len(set(names)) < len(names):
        step.refuse("42701", "column-twice", relation=table.name)


def analyze(step: Step, node: Any) -> None:
    """ANALYZE and VACUUM of tables that are named; VACUUM (FULL) writes them anew.

    They need nothing: what the role may not maintain is passed over with a warning.
    """
    tables = [relation_of(step, each.vacuum_relation.relation) for each in node.rels]
    if not tables or any(each.kind not in "rmp" for each in tables):
        raise UnknownError("VACUUM or ANALYZE of everything", Name("", ""))
    for table, each in zip(tables, node.rels, strict=True):
        names = [as_stored(one.string.sval) for one in each.vacuum_relation.va_cols]
        analyzes = any(one.def_elem.defname == "analyze" for one in node.options)
        if names and node.is_vacuumcmd and not analyzes:
            step.refuse("0A000", "columns-without-analyze", relation=table.name)
        _require_columns(step, table, names)
    if node.is_vacuumcmd:
        _vacuum(step, tables, node)
        return
    for table, each in zip(tables, node.rels, strict=True):
        descends = table.kind == "p" or step.schema.version >= GOES_DOWN
        if step.schema.version >= GOES_DOWN and not each.vacuum_relation.relation.inh:
            descends = False
        for name in (table.name, *(descendants_of(step.schema, table.name) if descends else ())):
            step.effects.lock(name, SHARE_UPDATE_EXCLUSIVE)


def _vacuum(step: Step, tables: list[Relation], node: Any) -> None:
    given = [each.def_elem for each in node.options]
    options = {"" if each.HasField("arg") else each.defname for each in given}
    if options - {"full", "verbose", "analyze"} or any(each.kind == "p" for each in tables):
        raise UnknownError("VACUUM with options, or of a partitioned table", Name("", ""))
    if step.schema.version >= GOES_DOWN:
        below = [
            step.known(name)
            for table, each in zip(tables, node.rels, strict=True)
            if each.vacuum_relation.relation.inh
            for name in descendants_of(step.schema, table.name)
        ]
        tables = [*tables, *below]
    for table in tables:
        mode = ACCESS_EXCLUSIVE if "full" in options else SHARE_UPDATE_EXCLUSIVE
        step.effects.lock(table.name, mode)
        step.effects.scans.add(table.name)
        if "full" in options:
            step.effects.rewrites.add(table.name)
            rebuild_indexes(step, table.name)


COMMANDS: Mapping[str, Command] = {"create_stats_stmt": create, "vacuum_stmt": analyze}
