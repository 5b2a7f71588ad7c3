"""What a statement does, asks and needs, as its command's file tells it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from opsmigrate.postgres.lock_modes import stronger
from opsmigrate.preflight.interpret.schema import Use
from opsmigrate.sql.names import Name


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """PostgreSQL raises this, whatever the rows: `kind` is a word for what stands in the way.

    `holder` is what holds on to it, as a view that uses the column. `certain` is False where the
    server may still accept, as where a type's operators are not known.
    """

    sqlstate: str
    kind: str
    relation: Name | None = None
    column: str | None = None
    name: str | None = None
    holder: str | None = None
    # What PostgreSQL says, where its own parser was asked.
    words: str | None = None
    certain: bool = True


@dataclass(frozen=True, kw_only=True)
class Question:
    """What only rows can answer; `sqlstate` is what a row in the way raises, as 23502.

    `kind` is "not-null", "unique", "check", "foreign-key", "cast", "exclusion", "partition",
    "domain", "expression", "index-row" or, of a default that is computed once, whatever the rows,
    "default". `expression` is the condition or the cast, in SQL; `target` the referenced table.
    """

    sqlstate: str
    kind: str
    relation: Name
    columns: tuple[str, ...] = ()
    expression: str | None = None
    target: Name | None = None
    to_columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Right:
    """What the role must have: "OWNER", "CREATE", "REFERENCES", "USAGE", "EXECUTE", "SELECT", …

    `object_kind` is "relation", "schema", "type", "function", "database" …; `name` its parts.
    `role` is who must have it, where that is another than the one who migrates. It is not `certain`
    where it depends on the rows.
    """

    privilege: str
    object_kind: str
    name: tuple[str, ...]
    columns: tuple[str, ...] = ()
    role: str = ""
    certain: bool = True


class Loss(NamedTuple):
    """What goes along without having been named: by CASCADE, or with a dropped column."""

    kind: str
    relation: Name | None
    name: str


class Assigned(NamedTuple):
    """What UPDATE … SET gives a column, where the row itself says it: SQL on the table's columns.

    `condition` is what WHERE says, None for all rows.
    """

    relation: Name
    column: str
    expression: str
    condition: str | None


class Unknown(NamedTuple):
    """What is not understood, and which relations it taints; none named: all of them.

    `rights_told` says that all that the role needs is told in `Effects.rights` even so, but for
    what code needs that runs.
    """

    why: str
    relations: tuple[Name, ...] = ()
    rights_told: bool = False


class RefusedError(Exception):
    """Ends the interpretation of a statement: the server would raise."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.kind)
        self.refusal = refusal


class UnknownError(Exception):
    """Ends the interpretation of a statement: what it does is not known."""

    def __init__(self, why: str, *relations: Name, rights_told: bool = False) -> None:
        super().__init__(why)
        self.unknown = Unknown(why, relations, rights_told)


@dataclass(kw_only=True)
class Effects:
    """What one statement does; relations by the names that they bear when it begins.

    `locks` are the strongest modes, on indexes too (named (schema, index)); ACCESS SHARE is left
    out. `rewrites` get a new file, `scans` are read from end to end, `builds` are indexes built,
    `reuses` indexes that keep their file where their table is rewritten or a column's type changes.
    """

    refusal: Refusal | None = None
    questions: list[Question] = field(default_factory=list)
    locks: dict[Name, str] = field(default_factory=dict)
    # Those that come with the first row: by foreign keys, sequences, partitions.
    locks_with_rows: dict[Name, str] = field(default_factory=dict)
    rewrites: set[Name] = field(default_factory=set)
    scans: set[Name] = field(default_factory=set)
    builds: set[Name] = field(default_factory=set)
    rights: list[Right] = field(default_factory=list)
    lost: list[Loss] = field(default_factory=list)
    unknown: Unknown | None = None
    # It goes over the table twice, and waits for the transactions that began before.
    concurrently: bool = False
    # By TRUNCATE: new files for all, for which nothing is read.
    truncates: bool = False
    writes_rows: set[Name] = field(default_factory=set)
    assigned: list[Assigned] = field(default_factory=list)
    # Table and column whose values are computed anew, whatever their type.
    computed: set[tuple[Name, str]] = field(default_factory=set)
    reads: set[Use] = field(default_factory=set)
    runs_code: bool = False
    # It has a query or a condition whose names, types and literals were not all looked at: it may
    # be refused for them (42…, 22…, 0A000).
    unread: bool = False
    outside: list[str] = field(default_factory=list)

    def lock(self, name: Name, mode: str) -> None:
        """Note that the relation is locked at least so."""
        self.locks[name] = stronger(self.locks.get(name), mode)

    def lock_with_rows(self, name: Name, mode: str) -> None:
        """Note that the relation is locked at least so, where there are rows."""
        self.locks_with_rows[name] = stronger(self.locks_with_rows.get(name), mode)

    def need(
        self, privilege: str, object_kind: str, name: tuple[str, ...], columns: tuple[str, ...] = ()
    ) -> None:
        """Note what the role must have; for what is given see Right."""
        self.rights.append(
            Right(privilege=privilege, object_kind=object_kind, name=tuple(name), columns=columns)
        )

    def need_of(self, role: str, privilege: str, object_kind: str, name: tuple[str, ...]) -> None:
        """Note what another role must have."""
        right = Right(privilege=privilege, object_kind=object_kind, name=tuple(name), role=role)
        self.rights.append(right)

    def may_need(self, right: Right) -> None:
        """Note what the role must have where there are rows."""
        self.rights.append(replace(right, certain=False))

    def may_need_superuser(self) -> None:
        """Note that what it names may be PostgreSQL's own, which belongs to the first superuser."""
        self.may_need(Right(privilege="SUPERUSER", object_kind="role", name=()))
