"""What a plan changes about a table that the models from before the plan do not expect."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from django.db.migrations.state import ProjectState
from django.db.models import Field, Model


class Kind(Enum):
    """What became of a table, a column, or of what may be written to them."""

    TABLE_GONE = auto()
    TABLE_RENAMED = auto()
    VIEW_GONE = auto()
    COLUMN_GONE = auto()
    COLUMN_RENAMED = auto()
    OTHER_TYPE = auto()
    NEW_CHOICE = auto()
    NEEDS_VALUE = auto()
    BECAME_NOT_NULL = auto()
    BECAME_GENERATED = auto()
    LOST_DEFAULT = auto()
    NARROWED = auto()
    UNIQUE = auto()
    CHECK = auto()
    FOREIGN_KEY = auto()


READS = frozenset(
    {
        Kind.TABLE_GONE,
        Kind.TABLE_RENAMED,
        Kind.VIEW_GONE,
        Kind.COLUMN_GONE,
        Kind.COLUMN_RENAMED,
        Kind.OTHER_TYPE,
        Kind.NEW_CHOICE,
    }
)
# A statement fails whatever the values are, so that one that does not fail refutes it.
CERTAIN = frozenset(
    {
        Kind.TABLE_GONE,
        Kind.TABLE_RENAMED,
        Kind.VIEW_GONE,
        Kind.COLUMN_GONE,
        Kind.COLUMN_RENAMED,
        Kind.NEEDS_VALUE,
        Kind.BECAME_GENERATED,
    }
)
# Told by the migrations, or tried: the catalog of the copy adds nothing to them.
NOT_OF_THE_CATALOG = CERTAIN | {Kind.NEW_CHOICE}


@dataclass(frozen=True)
class Change:
    """One change of what a model from before the plan uses, in words.

    `field` is that of the model, None where it does not know the column. `name` is that of an
    index or constraint, `now` the new name of what was renamed.
    """

    model: type[Model]
    kind: Kind
    words: str
    field: Field[Any, Any] | None = None
    column: str | None = None
    name: str | None = None
    now: str | None = None


@dataclass(frozen=True)
class Walked:
    """What the walk through a plan leaves: the models before it, and the state after it.

    `unknown_since` is what changed the schema in a way that nobody knows, None where nothing did.
    """

    models: tuple[type[Model], ...]
    after: ProjectState
    unknown_since: str | None
