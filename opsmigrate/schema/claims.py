"""What a migration state says that the tables must have."""

from typing import NamedTuple


# Tuples, as those of the catalog are, for there may be tens of thousands.
class ClaimedColumn(NamedTuple):
    """A column; `type` as the field spells it, None where only its kind is known: an integer.

    `generated` is "" for a plain column, "s" for a stored and "v" for a virtual one, as in
    pg_attribute.attgenerated. `numbered` says that PostgreSQL must number the rows, by an
    identity or by a serial default.
    """

    name: str
    type: str | None
    not_null: bool
    has_default: bool = False
    numbered: bool = False
    generated: str = ""
    collation: str | None = None


class ClaimedIndex(NamedTuple):
    """An index, or a unique constraint or primary key by the index that it rests on.

    `columns` has an empty string where the key is an expression; `named` are the columns that
    expressions and condition name. `name` is None where Django makes it up.
    `like` marks the companion with a pattern operator class that Django gives to indexed text.
    """

    columns: tuple[str, ...]
    name: str | None = None
    primary: bool = False
    unique: bool = False
    method: str = "btree"
    partial: bool = False
    named: frozenset[str] = frozenset()
    include: tuple[str, ...] = ()
    descending: tuple[bool, ...] | None = None
    opclasses: tuple[str, ...] = ()
    like: bool = False
    deferrable: bool = False
    nulls_distinct: bool = True


class ClaimedForeignKey(NamedTuple):
    """A foreign key of one column; `on_delete` as in pg_constraint.confdeltype."""

    column: str
    to_table: str
    to_column: str
    on_delete: str = "a"


class ClaimedCheck(NamedTuple):
    """A CHECK or, where `exclusion` says so, an exclusion constraint.

    `columns` is None where the condition does not tell which columns it names.
    """

    name: str | None
    columns: frozenset[str] | None
    exclusion: bool = False


class ClaimedTable(NamedTuple):
    """A table of a model or of a ManyToManyField, by its db_table; `model` is `app.Model`."""

    db_table: str
    model: str
    columns: tuple[ClaimedColumn, ...]
    indexes: tuple[ClaimedIndex, ...] = ()
    foreign_keys: tuple[ClaimedForeignKey, ...] = ()
    checks: tuple[ClaimedCheck, ...] = ()
