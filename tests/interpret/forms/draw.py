"""What a form draws from: the schema as it is, and chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.preflight.interpret.schema import Column, Relation, Schema
from opsmigrate.sql.names import Name

T = TypeVar("T")
LONG = "a_name_of_sixty_three_bytes_which_is_as_long_as_one_can_be_in_it"[:63]
NEW_NAMES = (
    "fresh", "extra", "spare", "Mixed Name", "user", LONG, f"{LONG[:55]}_too_long_for_one",
    "ünï", "n1", "n2", "n3", "n4", "n5", "n6", "total", "note", "kind", "flag", "amount", "made_at",
)  # fmt: skip
TYPES = (
    "integer", "bigint", "smallint", "text", "varchar(5)", "varchar(40)", "varchar", "char(3)",
    "numeric", "numeric(6,2)", "numeric(4,1)", "boolean", "date", "timestamp", "timestamptz",
    "time", "interval", "jsonb", "json", "uuid", "real", "double precision", "bytea", "int[]",
    "text[]", "int4range", "mood", "positive", "code", "never_null", "pair", "inet", "bit(3)",
)  # fmt: skip
VALUES = {
    "integer": ("0", "1", "7", "-3", "'12'"), "bigint": ("1", "5000000000"), "smallint": ("2",),
    "text": ("'a'", "'abcdefgh'", "''"), "varchar": ("'b'", "'bcdefghi'"), "char": ("'c'",),
    "character": ("'b'", "'bcdefghi'"), "numeric": ("1.5", "12345.67", "0"), "boolean": ("true",),
    "date": ("'2020-01-02'", "current_date"), "timestamp": ("'2020-01-02 03:04'", "now()"),
    "timestamptz": ("now()", "clock_timestamp()", "'2021-05-06 07:08:09+02'"),
    "time": ("'03:04'",), "interval": ("'1 day'",), "jsonb": ("'{}'", "'{\"a\": 1}'"),
    "json": ("'[]'",), "uuid": ("gen_random_uuid()", "'00000000-0000-0000-0000-000000000001'"),
    "real": ("1.5",), "double": ("2.5", "random()"), "bytea": ("'\\x01'",), "inet": ("'::1'",),
    "int4range": ("'[1,3)'",), "mood": ("'sad'", "'happy'", "'absent'"), "positive": ("1", "-1"),
    "code": ("'abc'", "'toolongforit'"), "never_null": ("4",), "pair": ("'(1,x)'",),
    "bit": ("B'101'",),
}  # fmt: skip
# Of so many names, one is not there, or is of the wrong kind.
MISSING, WRONG_KIND = 0.04, 0.05
ABSENT = Relation(name=Name("app", "absent"))


@dataclass(frozen=True)
class Draw:
    """One statement's: `schema` is what it will meet."""

    schema: Schema
    random: Random

    def maybe(self, share: float = 0.5) -> bool:
        """Return true so often."""
        return self.random.random() < share

    def one(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return self.random.choice(values)

    def some(self, values: Sequence[T], most: int = 3) -> list[T]:
        """Return at least one of the values, each once, in any order."""
        return self.random.sample(values, min(len(values), self.random.randint(1, most)))

    def words(self, *options: str, share: float = 0.5) -> str:
        """Return one of these words, with a space before it; or nothing."""
        return f" {self.one(options)}" if self.maybe(share) else ""

    def relation(self, kinds: str = "rp") -> Relation:
        """Return a relation of these kinds; now and then one of another, or that is not there."""
        if self.maybe(MISSING):
            return ABSENT
        every = sorted(self.schema.relations.values(), key=lambda each: each.name)
        fit = [each for each in every if each.kind in kinds]
        if (self.maybe(WRONG_KIND) and every) or not fit:
            return self.one(every) if every else ABSENT
        return self.one(fit)

    def name(self, name: Name) -> str:
        """Return the name as it may be written: with its schema, or without where that finds it."""
        bare = self.schema.visible(None, name.name) == name
        if bare and self.maybe(0.8):
            return self.quoted(name.name)
        return f"{quoted(name.schema)}.{self.quoted(name.name)}"

    def quoted(self, name: str) -> str:
        """Return an identifier, in quotes where it has to be."""
        plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower()
        return name if plain and name != "user" and not name[0].isdigit() else quoted(name)

    def column(self, relation: Relation, *, fit: Callable[[Column], bool] | None = None) -> str:
        """Return a column of the relation, that fits where there is one; or none that is there."""
        columns = sorted(relation.columns)
        if self.maybe(MISSING) or not columns:
            return "absent" if self.maybe(0.7) else "ctid"
        fitting = [name for name in columns if fit is not None and fit(relation.columns[name])]
        return self.quoted(self.one(fitting or columns))

    def columns(self, relation: Relation, most: int = 3) -> str:
        """Return some columns, with commas."""
        every = sorted(relation.columns) or ["absent"]
        found = [self.quoted(each) for each in self.some(every, most)]
        if self.maybe(MISSING):
            found.append(self.one(("absent", found[0])))
        return ", ".join(found)

    def new(self) -> str:
        """Return a name for something new, that may be taken."""
        return quoted(self.one(NEW_NAMES)) if self.maybe(0.95) else "book"

    def new_relation(self) -> str:
        """Return a name for a new relation, with a schema or without."""
        schemas = ("app", "public", '"Mixed Case"', "absent" if self.maybe(0.2) else "other")
        taken = self.maybe(0.06) and self.schema.relations
        name = self.name(self.one(sorted(self.schema.relations))) if taken else self.new()
        return name if taken or self.maybe(0.7) else f"{self.one(schemas)}.{name}"

    def type(self) -> str:
        """Return a type, plain ones more often."""
        plain = self.maybe(0.5)
        return "absent_type" if self.maybe(0.01) else self.one(TYPES[:13] if plain else TYPES)

    def value(self, type_: str) -> str:
        """Return a value that mostly fits the type."""
        words = type_.rpartition(".")[2].replace("(", " ").split()
        if type_.endswith("[]"):
            return "'{}'"
        if self.maybe(0.04):
            return self.one(("NULL", "'zzz'", "1", "absent()"))
        return self.one(VALUES.get(words[0] if words else "text", ("NULL",)))

    def condition(self, relation: Relation) -> str:
        """Return a condition on one row of the relation, or two."""
        found = self._condition(relation)
        if self.maybe(0.2):
            found += f" {self.one(('AND', 'OR'))} {self._condition(relation)}"
        return found

    def _condition(self, relation: Relation) -> str:
        name = self.column(relation)
        column = relation.columns.get(as_stored(name.strip('"')))
        type_ = column.type if column is not None else "text"
        if self.maybe(0.25):
            return f"{name} IS {self.one(('NOT NULL', 'NULL'))}"
        if self.maybe(0.15) and type_.startswith(("text", "character")):
            return f"length({name}) < {self.one(('3', '30', '300'))}"
        if self.maybe(0.15) and type_ == "integer":
            return f"{name} IN (1, 2, {self.one(('3', '4', '5'))})"
        operator = self.one(("=", ">", "<>", "<=")) if type_ != "boolean" else "="
        return f"{name} {operator} {self.value(type_)}"


Made = str | None
Form = Callable[[Draw], Made]
# Name -> (how often, what makes it). One that returns nothing has nothing to do there.
FORMS: dict[str, tuple[float, Form]] = {}


def form(weight: float = 1.0) -> Callable[[Form], Form]:
    """Register a form under the name of its function."""

    def register(function: Form) -> Form:
        FORMS[function.__name__] = (weight, function)
        return function

    return register
