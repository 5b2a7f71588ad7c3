"""SELECT, INSERT, UPDATE, DELETE, MERGE: what they read, lock and write, and what may raise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opsmigrate.postgres.lock_modes import ROW_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, is_of_system
from opsmigrate.preflight.interpret.commands.row_effects import (
    DELETE,
    EVENTS,
    INSERT,
    UPDATE,
    lock_sequences,
    write,
)
from opsmigrate.preflight.interpret.commands.row_rights import need_columns_read
from opsmigrate.preflight.interpret.commands.row_values import look_at, look_at_selected
from opsmigrate.preflight.interpret.commands.views import select_into
from opsmigrate.preflight.interpret.effects import Assigned, Question, Right, UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.queries import (
    ask_values,
    is_setting,
    is_systems,
    queried,
    read,
)
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.values import computes
from opsmigrate.sql.expressions import deparse, nodes_in, references
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.ranges import TARGET, ranges_of

# Where a query that reads no table computes its values.
NOWHERE = Name("", "")
MERGES_INTO_VIEWS = 170_000
# What UPDATE raises for a column that it is to set twice.
TWICE_ASSIGNED = "42601"


def select(step: Step, node: Any) -> None:
    """SELECT, which also writes where a WITH does."""
    if node.HasField("into_clause"):
        select_into(step, node)
        return
    found = read(step, node)
    if is_setting(node):
        step.effects.unread = False
        return
    _write_within(step, node)
    ask_values(step, NOWHERE, node)
    for _, table in found:
        _values(step, table, node)


def insert(step: Step, node: Any) -> None:
    """INSERT."""
    table = _target(step, node.relation, INSERT, named=bool(node.cols))
    _write_within(step, node, but=node)
    columns = _given(step, table, node)
    _need_to_insert(step, table, columns, node)
    need_columns_read(step, table, node)
    read(step, node)
    rows = [each.list.items for each in node.select_stmt.select_stmt.values_lists]
    given = columns or tuple(table.columns)
    plain = rows or not node.HasField("select_stmt")
    extras = ("on_conflict_clause", "returning_clause")
    if plain and not any(map(node.HasField, extras)):
        look_at(step, table, node, [pair for row in rows for pair in zip(given, row, strict=False)])
    if not plain and not look_at_selected(step, table, given, node.select_stmt.select_stmt):
        ask_values(step, table.name, node, computed=True)
    _refuse_values(step, table, node, columns)
    writes = [INSERT]
    if node.HasField("on_conflict_clause"):
        writes += _on_conflict(step, table, node.on_conflict_clause)
    for event in writes:
        write(step, table, event)
    if table.kind == "p":
        for name in descendants_of(step.schema, table.name):
            step.effects.lock_with_rows(name, ROW_EXCLUSIVE)
    _values(step, table, node)


def _need_to_insert(step: Step, table: Relation, columns: tuple[str, ...], node: Any) -> None:
    """Note what it takes to insert, with the sequences of columns that are not given."""
    step.effects.need(INSERT, "relation", table.name, columns)
    _need_on_conflict(step, table, node.on_conflict_clause)
    # A SELECT may give no row.
    rows = node.select_stmt.select_stmt.values_lists
    certain = bool(rows) or not node.HasField("select_stmt")
    lock_sequences(step, table, _filled(table, columns, node), certain=certain)


def _need_on_conflict(step: Step, table: Relation, clause: Any) -> None:
    inferred = (each.index_elem for each in clause.infer.index_elems)
    read_ = {as_stored(each.name) for each in inferred if each.name}
    constraint = table.constraints.get(as_stored(clause.infer.conname))
    read_ |= set(constraint.columns) if constraint is not None else set()
    if label(clause, "action") == "ONCONFLICT_UPDATE":
        named = (as_stored(each.res_target.name) for each in clause.target_list)
        columns = tuple(each for each in named if each in table.columns)
        step.effects.need(UPDATE, "relation", table.name, columns)
        # Those of `excluded` as well.
        read_ |= {parts[-1] for parts in references(clause)}
    if read_ & table.columns.keys():
        columns = tuple(sorted(read_ & table.columns.keys()))
        step.effects.need("SELECT", "relation", table.name, columns)


def _on_conflict(step: Step, table: Relation, clause: Any) -> list[str]:
    """Return what else is written where there is such a row already."""
    tables = [table, *map(step.known, descendants_of(step.schema, table.name))]
    # Rows go to the partitions, each with indexes of its own.
    tables = tables if table.kind == "p" else tables[:1]
    if any(not index.immediate for each in tables for index in each.indexes.values()):
        _ask_conflict(step, table, "55000")
    updates = label(clause, "action") == "ONCONFLICT_UPDATE"
    _assigned_columns(step, table, clause.target_list)
    _refuse_assigned(step, table, clause.target_list)
    if updates:
        _ask_conflict(step, table, "21000")
    return [UPDATE] if updates else []


def _ask_conflict(step: Step, table: Relation, sqlstate: str) -> None:
    """Two rows of the same key (21000), or a key that is looked at later (55000)."""
    step.effects.questions.append(Question(sqlstate=sqlstate, kind="unique", relation=table.name))


def _given(step: Step, table: Relation, node: Any) -> tuple[str, ...]:
    columns = tuple(as_stored(each.res_target.name) for each in node.cols)
    _require(step, table, columns)
    given = columns or tuple(table.columns)
    rows = [each.list.items for each in node.select_stmt.select_stmt.values_lists]
    for row in rows:
        if len(row) > len(given) or (columns and len(row) < len(given)):
            step.refuse("42601", "number-of-values", relation=table.name)
    return columns


def _refuse_values(step: Step, table: Relation, node: Any, columns: tuple[str, ...]) -> None:
    """Refuse values for columns that make their own, when all are known to fit (the rewriter)."""
    rows = [each.list.items for each in node.select_stmt.select_stmt.values_lists]
    for number, name in enumerate(columns or tuple(table.columns)):
        own = table.columns[name]
        if not (own.generated or (own.identity == "a" and not _overrides(node))):
            continue
        plain = [row[number] for row in rows if number < len(row)]
        if any(each.WhichOneof("node") != "set_to_default" for each in plain):
            step.refuse("428C9", "generated-column", relation=table.name, column=name)
        if columns and not rows and node.HasField("select_stmt"):
            step.refuse("428C9", "generated-column", relation=table.name, column=name)


def _filled(table: Relation, columns: tuple[str, ...], node: Any) -> tuple[str, ...] | None:
    """Return the columns that an INSERT gives values other than DEFAULT; None where it is open."""
    if not node.HasField("select_stmt"):
        return ()
    query = node.select_stmt.select_stmt
    if query.values_lists:
        rows = [each.list.items for each in query.values_lists]
        given = (columns or tuple(table.columns))[: len(rows[0])]
        return tuple(
            name
            for number, name in enumerate(given)
            if all(
                each.WhichOneof("node") != "set_to_default"
                for row in rows
                for each in row[number : number + 1]
            )
        )
    if columns:
        return columns
    values = [each.res_target.val.column_ref for each in query.target_list]
    stars = any(field.WhichOneof("node") == "a_star" for each in values for field in each.fields)
    if stars or label(query, "op") != "SETOP_NONE":
        return None
    return tuple(table.columns)[: len(values)]


def _overrides(node: Any) -> bool:
    return label(node, "override") in ("OVERRIDING_USER_VALUE", "OVERRIDING_SYSTEM_VALUE")


def _require(step: Step, table: Relation, columns: Iterable[str], twice: str = "42701") -> None:
    seen = set()
    for name in columns:
        if name not in table.columns:
            # INSERT does not look for those of the system.
            of_system = name in SYSTEM_COLUMNS and twice == TWICE_ASSIGNED
            state = "0A000" if of_system else "42703"
            step.refuse(state, "missing-column", relation=table.name, column=name)
        if name in seen:
            step.refuse(twice, "column-twice", relation=table.name, column=name)
        seen.add(name)


def update(step: Step, node: Any) -> None:
    """UPDATE: what the row itself says of its new value, is kept."""
    table = _target(step, node.relation, UPDATE)
    _write_within(step, node, but=node)
    columns = _assigned_columns(step, table, node.target_list)
    step.effects.need(UPDATE, "relation", table.name, columns)
    _take_next(step, table, node.target_list)
    need_columns_read(step, table, node)
    read(step, node)
    _check_columns(step, table, node)
    if all(not each.res_target.indirection for each in node.target_list):
        values = [each.res_target.val for each in node.target_list]
        look_at(step, table, node, [*zip(columns, values, strict=True)])
    _refuse_assigned(step, table, node.target_list)
    write(step, table, UPDATE, columns)
    _scan(step, table, node.relation)
    _lock_children(step, table, node.relation)
    _values(step, table, node)
    _keep(step, table, node)


def _take_next(step: Step, table: Relation, targets: Any) -> None:
    """Note that DEFAULT takes the next value of a sequence, where there is a row."""
    anew = {
        as_stored(each.res_target.name)
        for each in targets
        if each.res_target.val.WhichOneof("node") == "set_to_default"
    }
    lock_sequences(step, table, tuple(table.columns.keys() - anew), certain=False)


def _assigned_columns(step: Step, table: Relation, targets: Any) -> tuple[str, ...]:
    columns = tuple(as_stored(each.res_target.name) for each in targets)
    plain = all(not each.res_target.indirection for each in targets)
    if plain:
        _require(step, table, columns, twice=TWICE_ASSIGNED)
    for name in columns:
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
    return columns


def _refuse_assigned(step: Step, table: Relation, targets: Any) -> None:
    """Refuse to assign to columns that make their own values."""
    for each in targets:
        name = as_stored(each.res_target.name)
        own = table.columns[name]
        default = each.res_target.val.WhichOneof("node") == "set_to_default"
        if (own.generated or own.identity == "a") and not default:
            step.refuse("428C9", "generated-column", relation=table.name, column=name)


def _keep(step: Step, table: Relation, node: Any) -> None:
    alone = not node.from_clause and not node.HasField("with_clause") and node.relation.inh
    kinds = {each.DESCRIPTOR.name for each in nodes_in(node)}
    if not alone or kinds & {"SubLink", "CurrentOfExpr", "MultiAssignRef", "SetToDefault"}:
        return
    condition = deparse(node.where_clause) if node.HasField("where_clause") else None
    for each in node.target_list:
        target = each.res_target
        if not target.indirection:
            value = (as_stored(target.name), deparse(target.val), condition)
            step.effects.assigned.append(Assigned(table.name, *value))


def delete(step: Step, node: Any) -> None:
    """DELETE."""
    parts = ("where_clause", "returning_clause")
    alone = not (any(map(node.HasField, parts)) or node.using_clause)
    table = _target(step, node.relation, DELETE, named=not alone)
    _write_within(step, node, but=node)
    step.effects.need(DELETE, "relation", table.name)
    need_columns_read(step, table, node)
    read(step, node)
    _check_columns(step, table, node)
    look_at(step, table, node, ())
    write(step, table, DELETE)
    _scan(step, table, node.relation)
    _lock_children(step, table, node.relation)
    _values(step, table, node)


def _check_columns(step: Step, table: Relation, node: Any) -> None:
    """Refuse a column that the one table does not have, where nothing else could have it."""
    sources = node.from_clause if "from_clause" in _fields(node) else node.using_clause
    kinds = {each.DESCRIPTOR.name for each in nodes_in(node)}
    if sources or node.HasField("with_clause") or "SubLink" in kinds:
        return
    names = {table.name.name, as_stored(node.relation.alias.aliasname)}
    for parts in references(node):
        if parts[-1] == "*" or parts[-1] in table.columns or is_of_system(table, parts[-1]):
            continue
        if len(parts) == 1 and parts[0] not in names:
            step.refuse("42703", "missing-column", relation=table.name, column=parts[0])


def _fields(node: Any) -> Any:
    return node.DESCRIPTOR.fields_by_name


def merge(step: Step, node: Any) -> None:
    """MERGE."""
    named = queried(step, node.relation)
    views = step.schema.version >= MERGES_INTO_VIEWS
    if named.kind in "mSf" or (named.kind == "v" and not views):
        step.refuse("0A000", "wrong-kind", relation=named.name)
    clauses = [each.merge_when_clause for each in node.merge_when_clauses]
    events = [label(each, "command_type").removeprefix("CMD_") for each in clauses]
    table = _target(step, node.relation, *(each for each in events if each in EVENTS))
    _write_within(step, node, but=node)
    _need_to_merge(step, table, events, clauses)
    need_columns_read(step, table, node)
    read(step, node)
    step.effects.lock(table.name, ROW_EXCLUSIVE)
    for event in events:
        if event in EVENTS:
            write(step, table, event)
        if event in (UPDATE, DELETE):
            # A row that two of the source's meet.
            _ask_conflict(step, table, "21000")
    _scan(step, table, node.relation)
    _lock_children(step, table, node.relation)
    _values(step, table, node)


def _need_to_merge(step: Step, table: Relation, events: list[str], clauses: list[Any]) -> None:
    for event, each in zip(events, clauses, strict=True):
        if event in EVENTS:
            step.effects.need(event, "relation", table.name)
        _take_next(step, table, each.target_list)
        if event == INSERT:
            lock_sequences(step, table, _merged(table, each), certain=False)


def _merged(table: Relation, clause: Any) -> tuple[str, ...]:
    """Return the columns that WHEN … THEN INSERT gives values other than DEFAULT."""
    named = [as_stored(one.res_target.name) for one in clause.target_list]
    pairs = zip(named or table.columns, clause.values, strict=False)
    return tuple(name for name, one in pairs if one.WhichOneof("node") != "set_to_default")


def _write_within(step: Step, node: Any, but: Any = None) -> None:
    """Do what the queries of WITH write."""
    targets = [each for each in ranges_of(node) if each.role == TARGET]
    if len(targets) > (0 if but is None else 1):
        raise UnknownError("a WITH that writes", *_written(step, targets))


def _written(step: Step, targets: Any) -> list[Any]:
    return [queried(step, each.node).name for each in targets]


def _target(step: Step, node: Any, *events: str, named: bool = True) -> Relation:
    """Return the table that is written, as these do; what is no table needs at least the same."""
    if is_systems(node):
        step.effects.may_need(Right(privilege="SUPERUSER", object_kind="role", name=()))
        raise UnknownError("rows of PostgreSQL's own", rights_told=True)
    table = queried(step, node)
    if table.kind not in "rp" or table.rules:
        for event in events:
            step.effects.need(event, "relation", table.name)
    if table.kind in "mS" and named:
        # They are looked for before what has them turns out to be no table.
        raise UnknownError("the columns of what is no table", table.name)
    if table.kind in "mS":
        step.refuse("42809", "wrong-kind", relation=table.name)
    if table.kind not in "rp":
        read_by = {use.relation for use in table.uses}
        raise UnknownError("rows written through a view, or elsewhere", table.name, *read_by)
    if table.rules:
        raise UnknownError("rules on the table", table.name)
    return table


def _scan(step: Step, table: Relation, node: Any) -> None:
    """Note that the rows to change are looked for; an index may spare most of it."""
    family = descendants_of(step.schema, table.name) if node.inh else ()
    step.effects.scans |= {
        name for name in (table.name, *family) if step.schema.relations[name].kind == "r"
    }


def _lock_children(step: Step, table: Relation, node: Any) -> None:
    if not node.inh:
        return
    for name in descendants_of(step.schema, table.name):
        lock = step.effects.lock if table.kind == "r" else step.effects.lock_with_rows
        lock(name, ROW_EXCLUSIVE)


def _values(step: Step, table: Relation, node: Any) -> None:
    """Note that values may be refused, where there are any but columns."""
    ask_values(step, table.name, node, computed=computes(step.schema, table, node))


COMMANDS: Mapping[str, Command] = {
    "select_stmt": select,
    "insert_stmt": insert,
    "update_stmt": update,
    "delete_stmt": delete,
    "merge_stmt": merge,
}
