"""One statement of SQL, as PostgreSQL's grammar reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opsmigrate.postgres.names import unquoted


class NotParsedError(Exception):
    """The text cannot be parsed: what it would do is not known. The message says why."""


class NoGrammarError(Exception):
    """The package with PostgreSQL's grammar cannot be imported."""


@dataclass(frozen=True)
class Token:
    """A word of a text: `kind` is the scanner's name for it, as in "IDENT", "SCONST", "ALTER".

    `keyword` says that the text is one of PostgreSQL's key words, not in quotes. `name` is what
    the text means as a name: folded to lower case, or as it stands between its quotes.
    """

    kind: str
    text: str
    keyword: bool

    @property
    def name(self) -> str | None:
        """The name that it would be; None for what cannot be one."""
        return unquoted(self.text) if self.keyword or self.kind == "IDENT" else None


@dataclass(frozen=True)
class Node:
    """A part of a statement: `kind` is its type in the grammar, `value` its protobuf message."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Statement:
    """One statement, never several; `kind` is the node's name, as in "alter_table_stmt".

    `node` is the grammar's own message. Only rules that know a kind look into it.
    """

    text: str
    kind: str
    node: Any = field(repr=False, compare=False)

    def parts(self) -> Iterator[Node]:
        """Yield the statement and everything in it that has a type of its own, in no order."""
        waiting = [self.node]
        while waiting:
            message = waiting.pop()
            kind = message.DESCRIPTOR.name
            if kind in BARE:
                continue
            if kind != "Node":
                yield Node(kind, message)
            for descriptor, value in message.ListFields():
                if descriptor.message_type is None:
                    continue
                if hasattr(value, "DESCRIPTOR"):
                    waiting.append(value)
                else:
                    waiting.extend(value)


# Nothing is in them, and a long INSERT has a hundred thousand.
BARE = frozenset({"A_Const", "ParamRef", "Integer", "Boolean", "Float", "String", "BitString"})
