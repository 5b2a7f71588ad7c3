"""What differs between two schemas, in lines that people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from opsmigrate.preflight.interpret.schema import Column, Index, Key, Relation, Schema
from opsmigrate.sql.expressions import same_expression, same_tree
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name

# Relation, what the expression is of (a column's default has its type), ours and the server's.
Same = Callable[[Name | None, str, str, str], bool]
# Fields that say where something came from, and not how it is.
LEFT_OUT = {"live", "named"}
EXPRESSIONS = {"default", "condition", "predicate", "expression", "using", "check"}


def schema_differences(
    ours: Schema, server: Schema, same: Same | None = None, without: frozenset[Name] = frozenset()
) -> list[str]:
    """Return a line for each difference; none for relations `without` and what they have.

    Expressions are compared by trees; `same` is asked of those that differ so.
    """
    look = _Look(same or (lambda *about: False))
    return [
        *look.mappings("", _kept(ours.relations, without), _kept(server.relations, without)),
        *look.mappings("type ", ours.types, _told(ours, ours.types, server.types)),
        *look.mappings("function ", ours.functions, _told(ours, ours.functions, server.functions)),
        *look.mappings("schema ", ours.schemas, server.schemas),
        *look.mappings("extension ", ours.extensions, server.extensions),
        *look.values("collations", ours.collations, server.collations),
        *look.values("search_path", ours.search_path, server.search_path),
        *look.values("role", ours.role, server.role),
    ]


def _kept(relations: Mapping[Name, Relation], without: frozenset[Name]) -> dict[Name, Relation]:
    return {name: each for name, each in relations.items() if name not in without}


def _told(ours: Schema, of_ours: Mapping[Any, Any], server: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what the server has, without the parts of extensions if ours says they are unknown."""
    return {
        key: each
        for key, each in server.items()
        if key in of_ours or each.extension is None or not ours.incomplete
    }


class _Look:
    """One comparison: `relation` and `column` are where it has come to."""

    def __init__(self, same: Same) -> None:
        self.same = same
        self.relation: Name | None = None
        self.type = ""

    def mappings(self, about: str, ours: Mapping[Any, Any], server: Mapping[Any, Any]) -> list[str]:
        found = []
        for key in sorted({*ours, *server}, key=str):
            if key not in server:
                found.append(f"{about}{_shown(key)}: the server has none such, ours: {ours[key]}")
            elif key not in ours:
                found.append(f"{about}{_shown(key)}: only the server has it: {server[key]}")
            else:
                found += self.values(f"{about}{_shown(key)}", ours[key], server[key])
        return found

    def values(self, about: str, ours: Any, server: Any) -> list[str]:
        if isinstance(ours, Relation):
            self.relation = ours.name
        if isinstance(ours, Mapping) and isinstance(server, Mapping):
            return self.mappings(f"{about} ", ours, server)
        if isinstance(server, Column):
            self.type = server.type
        if hasattr(ours, "__dataclass_fields__") and type(ours) is type(server):
            return list(self._fields(about, ours, server))
        if isinstance(ours, frozenset) and isinstance(server, frozenset):
            return [
                *(f"{about}: only ours has {_shown(each)}" for each in sorted(ours - server)),
                *(f"{about}: only the server has {_shown(each)}" for each in sorted(server - ours)),
            ]
        return [] if ours == server else [f"{about}: ours {ours!r}, server {server!r}"]

    def _fields(self, about: str, ours: Any, server: Any) -> Iterator[str]:
        for field in fields(ours):
            one, other = getattr(ours, field.name), getattr(server, field.name)
            if field.compare and field.name not in LEFT_OUT and one != other:
                yield from self._field(about, field.name, (one, other), ours)

    def _field(self, about: str, name: str, pair: tuple[Any, Any], ours: Any) -> list[str]:
        one, other = pair
        if isinstance(ours, Index) and name == "keys" and len(one) == len(other):
            every = enumerate(zip(one, other, strict=True), 1)
            return [line for number, keys in every for line in self._key(about, number, *keys)]
        if name == "checks":
            return self._checks(about, one, other)
        if name in EXPRESSIONS | {"query", "bound", "partition_key"} and one and other:
            plain = name == "default" and not getattr(ours, "generated", "")
            kind = f"default of {self.type}" if plain else "expression"
            if self._is_same(name, kind, one, other):
                return []
        return self.values(f"{about}: {name}", one, other)

    def _key(self, about: str, number: int, ours: Key, server: Key) -> list[str]:
        found = list(self._fields(f"{about}: key {number}", ours, server))
        # Which collation an expression has by itself is not in the catalog.
        derived = ours.expression is not None and ours.collation is None
        return [line for line in found if not (derived and "collation:" in line)]

    def _checks(self, about: str, ours: Mapping[str, Any], server: Mapping[str, Any]) -> list[str]:
        if ours.keys() == server.keys() and all(
            self._is_same("check", "expression", ours[name][0], server[name][0])
            and ours[name][1] == server[name][1]
            for name in ours
        ):
            return []
        return self.mappings(f"{about}: check ", ours, server)

    def _is_same(self, name: str, kind: str, ours: str, server: str) -> bool:
        if name == "query":
            # How PostgreSQL writes a query is nobody's business: what it reads is compared.
            return True
        if name == "bound":
            return same_tree(_bound(ours), _bound(server))
        if name == "partition_key":
            return same_tree(_partition_key(ours), _partition_key(server))
        return same_expression(ours, server) or self.same(self.relation, kind, ours, server)


def _bound(text: str) -> Any:
    return parse(f"CREATE TABLE a PARTITION OF b {text}")[0].node.partbound


def _partition_key(text: str) -> Any:
    return parse(f"CREATE TABLE a (b int) PARTITION BY {text}")[0].node.partspec


def _shown(key: Any) -> str:
    match key:
        case Name():
            return str(key)
        case (Name() as name, tuple() as arguments):
            return f"{name}({', '.join(arguments)})"
        case (Name() as name, column):
            return f"{name}.{column}"
    return str(key)
