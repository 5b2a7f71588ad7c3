"""What rows that are written lock and fire, whichever statement writes them, and what may raise."""

from __future__ import annotations

from dataclasses import replace

from opsmigrate.postgres.lock_modes import ROW_EXCLUSIVE, ROW_SHARE
from opsmigrate.preflight.interpret.commands.foreign_keys import need_of_owner
from opsmigrate.preflight.interpret.effects import Question, Right
from opsmigrate.preflight.interpret.inheritance import ancestors_of, descendants_of
from opsmigrate.preflight.interpret.partition_keys import columns_in_key
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.renamed import mentions_relation

INSERT, UPDATE, DELETE = "INSERT", "UPDATE", "DELETE"
# tgtype's bits.
EVENTS = {INSERT: 4, DELETE: 8, UPDATE: 16}
DOES_NOTHING, SETS_DEFAULT = "a", "d"


def write(step: Step, table: Relation, event: str, columns: tuple[str, ...] | None = None) -> None:
    """Note that rows of a table are written: its locks, those of its keys, what may raise."""
    step.effects.lock(table.name, ROW_EXCLUSIVE)
    _write(step, table, event, columns)


def _write(step: Step, table: Relation, event: str, columns: tuple[str, ...] | None) -> None:
    family = (table, *map(step.known, descendants_of(step.schema, table.name)))
    keys = [each.partition_key for each in family if each.partition_key]
    moved = {name for key in keys for name in columns_in_key(key)}
    if columns is not None and moved.intersection(columns):
        # Rows go to another partition: they are written whole there.
        columns = None
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
            need_of_owner(step, step.known(key.target))


def _lock_referring(step: Step, table: Relation, event: str) -> None:
    for other in step.schema.relations.values():
        for key in other.constraints.values():
            if key.kind != "f" or key.target != table.name or not key.enforced:
                continue
            action = key.on_delete if event == DELETE else key.on_update
            nothing = action in (DOES_NOTHING, "r")
            need_of_owner(step, other)
            if action in (DOES_NOTHING, SETS_DEFAULT):
                # Whether a row with this key is there after all (ri_Check_Pk_Match).
                need_of_owner(step, table)
            if event == UPDATE and table.bound is not None and key.parent is None:
                # A row cannot go to another partition from one that is referred to.
                moved = Question(sqlstate="0A000", kind="partition", relation=table.name)
                step.effects.questions.append(moved)
            family = (other.name, *descendants_of(step.schema, other.name))
            for name in family:
                step.effects.lock_with_rows(name, ROW_SHARE if nothing else ROW_EXCLUSIVE)
            # RESTRICT has an SQLSTATE of its own from 18 on.
            step.effects.questions += [
                Question(sqlstate=state, kind="foreign-key", relation=other.name)
                for state in ("23503", "23001")
            ]
            if not nothing and other.name not in step.effects.writes_rows:
                deletes = action == "c" and event == DELETE
                _write(step, other, DELETE if deletes else UPDATE, None)


def is_guarded(step: Step, table: Relation) -> bool:
    """Return whether row security holds for the role, as far as that is told without its roles."""
    mine = table.owner == step.schema.role and table.row_security != "forced"
    return table.row_security in ("enabled", "forced") and not (mine or step.schema.superuser)


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
    if is_guarded(step, table):
        questions.append(Question(sqlstate="42501", kind="policy", relation=table.name))
    if any("." in each.type for each in table.columns.values()):
        questions += [
            Question(sqlstate=state, kind="domain", relation=table.name)
            for state in ("23502", "23514")
        ]


def insert_needs(table: Relation, sequence: Relation, given: tuple[str, ...]) -> bool:
    """Return whether an INSERT with these columns takes the next value for another."""
    return any(
        column.default is not None and mentions_relation(column.default, sequence.name)
        for column in table.columns.values()
        if column.name not in given
    )


def lock_sequences(
    step: Step, table: Relation, columns: tuple[str, ...] | None = None, *, certain: bool = True
) -> None:
    """Have defaults that take the next value, and identity columns, lock their sequence.

    `certain` says that there is a row.
    """
    ancestors = ancestors_of(step.schema, table) if table.bound is not None else ()
    for each in step.schema.relations.values():
        if each.sequence is None:
            continue
        owner = each.sequence.owner
        # The identity of a partition is its table's.
        mine = owner is not None and (
            owner[0] == table.name or (each.sequence.internal and owner[0] in ancestors)
        )
        used = any(
            column.default is not None and mentions_relation(column.default, each.name)
            for column in table.columns.values()
        )
        if (
            used
            and not each.sequence.internal
            and columns is not None
            and insert_needs(table, each, columns)
        ):
            right = Right(privilege="USAGE", object_kind="sequence", name=each.name)
            step.effects.rights.append(replace(right, certain=certain))
        if used or mine:
            step.effects.lock_with_rows(each.name, ROW_EXCLUSIVE)
            question = Question(sqlstate="2200H", kind="sequence", relation=each.name)
            step.effects.questions.append(question)
