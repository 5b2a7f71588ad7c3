"""SELECT, INSERT, UPDATE, DELETE, MERGE: what they read, lock and write, and what may raise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opsmigrate.postgres.lock_modes import ROW_EXCLUSIVE, ROW_SHARE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.commands.row_values import look_at
from opsmigrate.preflight.interpret.commands.views import select_into
from opsmigrate.preflight.interpret.effects import Assigned, Question, UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.queries import queried, read
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.expressions import deparse, nodes_in, references
from opsmigrate.sql.nodes import label
from opsmigrate.sql.ranges import TARGET, ranges_of

# What is raised for values: too long, too high, no date, division by zero, no such value.
VALUES = ("22001", "22003", "22007", "22008", "22012", "22P02")
INSERT, UPDATE, DELETE = "INSERT", "UPDATE", "DELETE"
# tgtype's bits.
EVENTS = {INSERT: 4, DELETE: 8, UPDATE: 16}
DOES_NOTHING = "a"


def select(step: Step, node: Any) -> None:
    """SELECT, which also writes where a WITH does."""
    if node.HasField("into_clause"):
        select_into(step, node)
        return
    found = read(step, node)
    _write_within(step, node)
    if found:
        _values(step, found[0][1], node)


def insert(step: Step, node: Any) -> None:
    """INSERT."""
    table = _target(step, node.relation, named=bool(node.cols))
    _write_within(step, node, but=node)
    columns = _given(step, table, node)
    read(step, node)
    rows = [each.list.items for each in node.select_stmt.select_stmt.values_lists]
    given = columns or tuple(table.columns)
    plain = rows or not node.HasField("select_stmt")
    extras = ("on_conflict_clause", "returning_clause")
    if plain and not any(map(node.HasField, extras)):
        look_at(step, table, node, [pair for row in rows for pair in zip(given, row, strict=False)])
    writes = [INSERT]
    if node.HasField("on_conflict_clause"):
        clause = node.on_conflict_clause
        if label(clause, "action") == "ONCONFLICT_UPDATE":
            writes.append(UPDATE)
            _assigned_columns(step, table, clause.target_list)
    step.effects.need(INSERT, "relation", table.name, columns)
    for event in writes:
        write(step, table, event)
    if table.kind == "p":
        for name in descendants_of(step.schema, table.name):
            step.effects.lock_with_rows(name, ROW_EXCLUSIVE)
    if node.HasField("returning_clause"):
        step.effects.need("SELECT", "relation", table.name)
    _lock_sequences(step, table, columns or tuple(table.columns) if rows else columns)
    _values(step, table, node)


def _given(step: Step, table: Relation, node: Any) -> tuple[str, ...]:
    columns = tuple(as_stored(each.res_target.name) for each in node.cols)
    _require(step, table, columns)
    given = columns or tuple(table.columns)
    rows = [each.list.items for each in node.select_stmt.select_stmt.values_lists]
    for row in rows:
        if len(row) > len(given) or (columns and len(row) < len(given)):
            step.refuse("42601", "number-of-values", relation=table.name)
    for number, name in enumerate(given):
        own = table.columns[name]
        if not (own.generated or (own.identity == "a" and not _overrides(node))):
            continue
        plain = [row[number] for row in rows if number < len(row)]
        if any(each.WhichOneof("node") != "set_to_default" for each in plain):
            step.refuse("428C9", "generated-column", relation=table.name, column=name)
        if columns and not rows and node.HasField("select_stmt"):
            step.refuse("428C9", "generated-column", relation=table.name, column=name)
    return columns


def _overrides(node: Any) -> bool:
    return label(node, "override") in ("OVERRIDING_USER_VALUE", "OVERRIDING_SYSTEM_VALUE")


def _require(step: Step, table: Relation, columns: Iterable[str], twice: str = "42701") -> None:
    seen = set()
    for name in columns:
        if name not in table.columns:
            state = "0A000" if name in SYSTEM_COLUMNS else "42703"
            step.refuse(state, "missing-column", relation=table.name, column=name)
        if name in seen:
            step.refuse(twice, "column-twice", relation=table.name, column=name)
        seen.add(name)


def update(step: Step, node: Any) -> None:
    """UPDATE: what the row itself says of its new value, is kept."""
    table = _target(step, node.relation)
    _write_within(step, node, but=node)
    columns = _assigned_columns(step, table, node.target_list)
    read(step, node)
    _check_columns(step, table, node)
    if all(not each.res_target.indirection for each in node.target_list):
        values = [each.res_target.val for each in node.target_list]
        look_at(step, table, node, [*zip(columns, values, strict=True)])
    step.effects.need(UPDATE, "relation", table.name, columns)
    _need_read(step, table, node)
    write(step, table, UPDATE, columns)
    _scan(step, table, node.relation)
    _lock_children(step, table, node.relation)
    _values(step, table, node)
    _keep(step, table, node)


def _assigned_columns(step: Step, table: Relation, targets: Any) -> tuple[str, ...]:
    columns = tuple(as_stored(each.res_target.name) for each in targets)
    plain = all(not each.res_target.indirection for each in targets)
    if plain:
        _require(step, table, columns, twice="42601")
    for each, name in zip(targets, columns, strict=True):
        own = table.columns.get(name)
        if own is None:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
        default = each.res_target.val.WhichOneof("node") == "set_to_default"
        if (own.generated or own.identity == "a") and not default:
            step.refuse("428C9", "generated-column", relation=table.name, column=name)
    return columns


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
    table = _target(step, node.relation)
    _write_within(step, node, but=node)
    read(step, node)
    _check_columns(step, table, node)
    look_at(step, table, node, ())
    step.effects.need(DELETE, "relation", table.name)
    _need_read(step, table, node)
    write(step, table, DELETE)
    _scan(step, table, node.relation)
    _lock_children(step, table, node.relation)
    _values(step, table, node)


def _need_read(step: Step, table: Relation, node: Any) -> None:
    """Note that the columns of the target that a condition or a value names, are read."""
    columns = {parts[-1] for parts in references(node)} & table.columns.keys()
    if columns:
        step.effects.need("SELECT", "relation", table.name, tuple(sorted(columns)))


def _check_columns(step: Step, table: Relation, node: Any) -> None:
    """Refuse a column that the one table does not have, where nothing else could have it."""
    sources = node.from_clause if "from_clause" in _fields(node) else node.using_clause
    kinds = {each.DESCRIPTOR.name for each in nodes_in(node)}
    if sources or node.HasField("with_clause") or "SubLink" in kinds:
        return
    names = {table.name.name, as_stored(node.relation.alias.aliasname)}
    for parts in references(node):
        if parts[-1] == "*" or parts[-1] in table.columns or parts[-1] in SYSTEM_COLUMNS:
            continue
        if len(parts) == 1 and parts[0] not in names:
            step.refuse("42703", "missing-column", relation=table.name, column=parts[0])


def _fields(node: Any) -> Any:
    return node.DESCRIPTOR.fields_by_name


def merge(step: Step, node: Any) -> None:
    """MERGE."""
    table = _target(step, node.relation)
    _write_within(step, node, but=node)
    read(step, node)
    step.effects.need("SELECT", "relation", table.name)
    step.effects.lock(table.name, ROW_EXCLUSIVE)
    for each in node.merge_when_clauses:
        event = label(each.merge_when_clause, "command_type").removeprefix("CMD_")
        if event in EVENTS:
            step.effects.need(event, "relation", table.name)
            write(step, table, event)
    _scan(step, table, node.relation)
    _lock_children(step, table, node.relation)
    _lock_sequences(step, table)
    _values(step, table, node)


def _write_within(step: Step, node: Any, but: Any = None) -> None:
    """Do what the queries of WITH write."""
    targets = [each for each in ranges_of(node) if each.role == TARGET]
    if len(targets) > (0 if but is None else 1):
        raise UnknownError("a WITH that writes", *_written(step, targets))


def _written(step: Step, targets: Any) -> list[Any]:
    return [queried(step, each.node).name for each in targets]


def _target(step: Step, node: Any, *, named: bool = True) -> Relation:
    table = queried(step, node)
    if table.kind == "S" and named:
        raise UnknownError("the columns of a sequence", table.name)
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


def write(step: Step, table: Relation, event: str, columns: tuple[str, ...] | None = None) -> None:
    """Note that rows of a table are written: its locks, those of its keys, what may raise."""
    step.effects.lock(table.name, ROW_EXCLUSIVE)
    family = (table, *map(step.known, descendants_of(step.schema, table.name)))
    for each in family:
        step.effects.writes_rows.add(each.name)
        fires = (
            trigger.type & EVENTS[event] and trigger.enabled not in "DR"
            for trigger in each.triggers.values()
        )
        if any(fires):
            step.effects.runs_code = True
        _ask(step, each, event)
        if event != DELETE:
            _lock_referenced(step, each, columns)
        if event != INSERT:
            _lock_referring(step, each, event)


def _lock_referenced(step: Step, table: Relation, columns: tuple[str, ...] | None) -> None:
    for key in table.constraints.values():
        written = columns is None or set(columns) & set(key.columns)
        if key.kind == "f" and key.target is not None and key.enforced and written:
            step.effects.lock_with_rows(key.target, ROW_SHARE)
            for name in descendants_of(step.schema, key.target):
                step.effects.lock_with_rows(name, ROW_SHARE)


def _lock_referring(step: Step, table: Relation, event: str) -> None:
    for other in step.schema.relations.values():
        for key in other.constraints.values():
            if key.kind != "f" or key.target != table.name or not key.enforced:
                continue
            action = key.on_delete if event == DELETE else key.on_update
            nothing = action in (DOES_NOTHING, "r")
            family = (other.name, *descendants_of(step.schema, other.name))
            for name in family:
                step.effects.lock_with_rows(name, ROW_SHARE if nothing else ROW_EXCLUSIVE)
            # RESTRICT has an SQLSTATE of its own from 18 on.
            step.effects.questions += [
                Question(sqlstate=state, kind="foreign-key", relation=other.name)
                for state in ("23503", "23001")
            ]
            if not nothing and other.name not in step.effects.writes_rows:
                write(step, other, DELETE if action == "c" and event == DELETE else UPDATE)
                mode = step.effects.locks.pop(other.name)
                step.effects.lock_with_rows(other.name, mode)


STATES = {"c": "23514", "p": "23505", "u": "23505", "x": "23P01", "f": "23503"}
KINDS = {"c": "check", "p": "unique", "u": "unique", "x": "exclusion", "f": "foreign-key"}


def _ask(step: Step, table: Relation, event: str) -> None:
    """Note what the rows that are written may be refused for."""
    if event == DELETE:
        return
    questions = step.effects.questions
    for each in table.constraints.values():
        if each.kind in STATES:
            questions.append(
                Question(
                    sqlstate=STATES[each.kind],
                    kind=KINDS[each.kind],
                    relation=table.name,
                    columns=each.columns,
                    expression=each.condition,
                    target=each.target,
                    to_columns=each.to_columns,
                )
            )
    if any(index.unique for index in table.indexes.values()):
        questions.append(Question(sqlstate="23505", kind="unique", relation=table.name))
    columns = tuple(each.name for each in table.columns.values() if each.not_null)
    if columns:
        questions.append(
            Question(sqlstate="23502", kind="not-null", relation=table.name, columns=columns)
        )
    if table.bound is not None or table.kind == "p":
        questions.append(Question(sqlstate="23514", kind="partition", relation=table.name))
    if any("." in each.type for each in table.columns.values()):
        questions += [
            Question(sqlstate=state, kind="domain", relation=table.name)
            for state in ("23502", "23514")
        ]


def insert_needs(table: Relation, sequence: Relation, given: tuple[str, ...]) -> bool:
    """Return whether an INSERT with these columns takes the next value for another."""
    return any(
        column.default is not None and sequence.name.name in column.default
        for column in table.columns.values()
        if column.name not in given
    )


def _lock_sequences(step: Step, table: Relation, columns: tuple[str, ...] | None = None) -> None:
    """Defaults that take the next value, and identity columns, lock their sequence."""
    for each in step.schema.relations.values():
        if each.sequence is None:
            continue
        owner = each.sequence.owner
        used = any(
            column.default is not None and each.name.name in column.default
            for column in table.columns.values()
        )
        if (
            used
            and not each.sequence.internal
            and columns is not None
            and insert_needs(table, each, columns)
        ):
            step.effects.need("USAGE", "sequence", each.name)
        if used or (owner is not None and owner[0] == table.name):
            step.effects.lock_with_rows(each.name, ROW_EXCLUSIVE)


def _values(step: Step, table: Relation, node: Any) -> None:
    """Note that values may be refused, where there are any but columns."""
    kinds = {each.DESCRIPTOR.name for each in nodes_in(node)}
    if not kinds & {"A_Const", "FuncCall", "A_Expr", "TypeCast"}:
        return
    step.effects.questions += [
        Question(sqlstate=state, kind="cast", relation=table.name) for state in VALUES
    ]


COMMANDS: Mapping[str, Command] = {
    "select_stmt": select,
    "insert_stmt": insert,
    "update_stmt": update,
    "delete_stmt": delete,
    "merge_stmt": merge,
}
