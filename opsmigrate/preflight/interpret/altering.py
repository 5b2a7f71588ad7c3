"""ALTER TABLE at work: what its subcommands share, and the passes in which they run.

A subcommand is prepared where it stands in the statement (ATPrepCmd in tablecmds.c), and says what
it does in which pass: all drops before all new columns, all of these before all constraints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NoReturn

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.schema import Column, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name

# attnum < 0: columns that every table has.
SYSTEM_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
# The kinds of relations that have them.
WITH_SYSTEM_COLUMNS = "rpmfS"
# From this server on, what rests on a column of another type is made again after ADD COLUMN.
ADDS_COLUMNS_FIRST = 170_000


def is_of_system(table: Relation, column: str) -> bool:
    """Return whether a relation has a column of this name that is the system's."""
    return column in SYSTEM_COLUMNS and table.kind in WITH_SYSTEM_COLUMNS


class Pass(IntEnum):
    """The order in which subcommands run, whatever theirs in the statement."""

    DROP = 0
    ALTER_TYPE = 1
    ADD_COLUMN = 2
    SET_EXPRESSION = 3
    OLD_INDEX = 4
    OLD_CONSTRAINT = 5
    ADD_CONSTRAINT = 6
    COLUMN_ATTRIBUTES = 7
    ADD_INDEX_CONSTRAINT = 8
    ADD_INDEX = 9
    ADD_OTHER = 10
    MISCELLANEOUS = 11
    # Not a subcommand's: what is rewritten, and read, when the catalog is as it will be.
    ROWS = 12


@dataclass(kw_only=True)
class Altering:
    """One ALTER TABLE: `mode` is what it locks its table and the descendants with.

    `only` says that it does not go on to the descendants. `tables` are those that it was given
    (the first), and those that it went on to.
    """

    step: Step
    table: Name
    mode: str
    only: bool
    queue: dict[Pass, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    # Columns whose type is another one, before any of it is done: (table, column).
    retyped: list[tuple[Name, str]] = field(default_factory=list)
    rewritten: set[Name] = field(default_factory=set)

    def relation(self, table: Name) -> Relation:
        """Return a table as it is by now."""
        return self.step.known(table)

    def later(self, order: Pass, act: Callable[[], None]) -> None:
        """Have this done in a pass: at its end, where it is under way."""
        self.queue[order].append(act)

    def run(self) -> None:
        """Do what was put off, pass by pass."""
        passes = list(Pass)
        if self.step.schema.version < ADDS_COLUMNS_FIRST:
            passes.remove(Pass.ADD_COLUMN)
            passes.insert(passes.index(Pass.OLD_CONSTRAINT) + 1, Pass.ADD_COLUMN)
        for order in passes:
            queue = self.queue[order]
            while queue:
                queue.pop(0)()

    def lock(self, table: Name) -> None:
        """Lock a table as the statement does; it has to be the role's own, as all of them have."""
        self.step.effects.lock(table, self.mode)
        self.step.effects.need("OWNER", "relation", table)

    def family(self, table: Name) -> tuple[Name, ...]:
        """Return the table and, but for ONLY, all that descend from it, locked as it is."""
        if self.only:
            return (table,)
        found = (table, *descendants_of(self.step.schema, table))
        for each in found:
            self.lock(each)
        return found

    def refuse(self, sqlstate: str, kind: str, table: Name, **about: Any) -> NoReturn:
        """End the statement as the server would."""
        self.step.refuse(sqlstate, kind, relation=table, **about)

    def allow(self, table: Name, kinds: str) -> Relation:
        """Return the table; refuse the statement where it is not of one of these relkinds."""
        relation = self.relation(table)
        if relation.kind not in kinds:
            self.refuse("42809", "wrong-kind", table, name=relation.kind)
        return relation

    def not_typed(self, table: Name) -> None:
        """Refuse to change columns of a table that was made OF a type: they are the type's."""
        if self.relation(table).of_type is not None:
            self.refuse("42809", "typed-table", table)

    def column(self, table: Name, name: str) -> Column:
        """Return a column; refuse the statement where there is none, or it is the system's."""
        found = self.relation(table).columns.get(name)
        if found is None:
            if is_of_system(self.relation(table), name):
                self.refuse("0A000", "system-column", table, column=name)
            self.refuse("42703", "missing-column", table, column=name)
        return found

    def rewrite(self, table: Name) -> None:
        """Have the table written anew at the end, with all its indexes."""
        self.rewritten.add(table)


Mode = str | Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class Action:
    """A subcommand: how it is prepared, and what it locks its table with.

    `prepare` takes the altering, the table and the AlterTableCmd. `lock` may depend on the last.
    """

    prepare: Callable[[Altering, Name, Any], None]
    lock: Mode = ACCESS_EXCLUSIVE

    def mode(self, command: Any) -> str:
        """Return the mode for this subcommand (AlterTableGetLockLevel)."""
        return self.lock if isinstance(self.lock, str) else self.lock(command)


def unknown(why: str, table: Name) -> UnknownError:
    """Return what ends a statement of which it is not known what it does to this table."""
    return UnknownError(why, table)
