"""A privilege that a statement needs, and on what; or that this cannot be known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opsmigrate.preflight.walk.privileges import OWNER

# Not a privilege either: owners of the object or of its schema may drop it.
DROP = "DROP"
# Not a privilege before PostgreSQL 17, where only the owner may do this.
MAINTAIN = "MAINTAIN"
RELATION = "RELATION"
SCHEMA = "SCHEMA"
# The schema in which the relation of this name is.
SCHEMA_OF = "SCHEMA OF"
DATABASE = "DATABASE"

Name = tuple[str, ...]


@dataclass(frozen=True)
class RequiredPrivilege:
    """A privilege on the object of this name (one part, or schema and name).

    `kind` is one of the above, or what ALTER calls an object, as in "TEXT SEARCH CONFIGURATION".
    No name is the schema where an unqualified CREATE puts things, or the connection's database.
    `columns` are those that are named, None where the text does not tell. `certain` is False where
    the text does not tell whether the privilege is really needed.
    """

    privilege: str
    name: Name
    columns: tuple[str, ...] | None = None
    certain: bool = True
    kind: str = RELATION


@dataclass(frozen=True)
class Unclear:
    """What a statement needs cannot be read from its text: `why` ends a sentence."""

    why: str


@dataclass(frozen=True)
class Code:
    """Code that runs as the role, and may need something on whatever its text names."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call of a function, which may be a user's."""

    name: str


Required = RequiredPrivilege | Unclear | Code | Call


def name_of(relation: Any) -> Name:
    """Return the name of a RangeVar."""
    parts = (str(relation.schemaname), str(relation.relname))
    return parts if parts[0] else parts[1:]


def parts_of(nodes: Iterable[Any]) -> Name:
    """Return the parts of a name that is a list of strings."""
    return tuple(str(each.string.sval) for each in nodes)


def owner(name: Name, kind: str = RELATION, *, certain: bool = True) -> RequiredPrivilege:
    """Return that only the owner may."""
    return RequiredPrivilege(OWNER, name, kind=kind, certain=certain)


def create_in(name: Name) -> RequiredPrivilege:
    """Return that an object of this name is made in its schema."""
    return RequiredPrivilege("CREATE", name[:-1], kind=SCHEMA)


def create_relation(relation: Any) -> RequiredPrivilege:
    """Return that a relation is made: temporary ones are in no schema of a user's."""
    if relation.relpersistence == "t" or relation.schemaname == "pg_temp":
        return RequiredPrivilege("TEMPORARY", (), kind=DATABASE)
    return create_in(name_of(relation))


def create_beside(relation: Any) -> RequiredPrivilege:
    """Return that something is made in the schema of a relation: an index, another name."""
    return RequiredPrivilege("CREATE", name_of(relation), kind=SCHEMA_OF)
