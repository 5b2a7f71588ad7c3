"""The schema with something called anew, everywhere: views, keys and expressions follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from opsmigrate.preflight.interpret.renaming_types import rename_type_texts, with_expressions
from opsmigrate.preflight.interpret.schema import (
    Constraint,
    Index,
    Relation,
    Schema,
    Trigger,
    Use,
)
from opsmigrate.preflight.interpret.thing import Thing, things_renamed
from opsmigrate.sql.names import Name
from opsmigrate.sql.renamed import partition_key, with_column, with_relation

Expressions = Callable[[str], str]


def rename_relation(schema: Schema, old: Name, new: Name) -> Schema:
    """Return the schema with a relation called anew, or in another schema."""
    change = _naming(schema, old, new)
    # It makes no type, so that a type may have its name.
    is_sequence = schema.relations[old].kind == "S"
    found = {}
    for name, each in schema.relations.items():
        moved = replace(
            each,
            name=new if name == old else name,
            parents=_put(each.parents, old, new),
            of_type=_new(each.of_type, old, new) if each.of_type else None,
            uses=frozenset(Use(_new(use.relation, old, new), use.column) for use in each.uses),
            constraints={
                key: _pointing(each_, old, new) for key, each_ in each.constraints.items()
            },
            triggers={
                key: replace(trigger, parent=new) if trigger.parent == old else trigger
                for key, trigger in each.triggers.items()
            },
        )
        facts = moved.sequence
        if facts is not None and facts.owner is not None and facts.owner[0] == old:
            moved = replace(moved, sequence=replace(facts, owner=(new, facts.owner[1])))
        found[moved.name] = with_expressions(moved, change)
    schema = replace(
        schema,
        relations=found,
        tainted=frozenset(_new(name, old, new) for name in schema.tainted),
        dependencies=things_renamed(
            schema.dependencies,
            lambda thing: (
                thing._replace(name=new)
                if thing.name == old and not (is_sequence and thing.kind == "type")
                else thing
            ),
        ),
    )
    schema = _move_indexes(schema, schema.relations[new], old.schema)
    return schema if is_sequence else rename_type_texts(schema, old, new)


def _naming(schema: Schema, old: Name, new: Name) -> Expressions:
    """Return what lets the constants in an expression follow, as those of nextval()."""
    bare = schema.visible(None, old.name) == old
    return lambda text: with_relation(text, old, new, bare=bare)


def _move_indexes(schema: Schema, table: Relation, former: str) -> Schema:
    """Return the schema with copies of the table's indexes belonging to them where they are now."""
    moved = {Name(former, name): Name(table.name.schema, name) for name in table.indexes}
    relations = {
        name: replace(
            each,
            indexes={
                key: replace(built, parent=moved.get(built.parent, built.parent))
                if built.parent is not None
                else built
                for key, built in each.indexes.items()
            },
        )
        for name, each in schema.relations.items()
    }
    return replace(schema, relations=relations)


def _new(name: Name, old: Name, new: Name) -> Name:
    return new if name == old else name


def _put(names: tuple[Name, ...], old: Name, new: Name) -> tuple[Name, ...]:
    return tuple(_new(name, old, new) for name in names)


def _pointing(key: Constraint, old: Name, new: Name) -> Constraint:
    if key.target == old:
        key = replace(key, target=new)
    if key.parent is not None and key.parent[0] == old:
        key = replace(key, parent=(new, key.parent[1]))
    return key


def rename_column(schema: Schema, table: Name, old: str, new: str) -> Schema:
    """Return the schema with a column of one table called anew."""

    def column(name: str) -> str:
        return new if name == old else name

    own = with_expressions(schema.relations[table], lambda text: with_column(text, old, new))
    own = replace(
        own,
        columns={
            column(name): replace(each, name=column(name)) for name, each in own.columns.items()
        },
        constraints={
            name: replace(each, columns=tuple(map(column, each.columns)))
            for name, each in own.constraints.items()
        },
        indexes={name: _with_column(each, column) for name, each in own.indexes.items()},
        triggers={
            name: replace(each, columns=tuple(map(column, each.columns)))
            for name, each in own.triggers.items()
        },
    )
    if own.partition_key is not None:
        own = replace(own, partition_key=partition_key(own.partition_key, old, new))
    schema = schema.with_relation(own)
    found = {
        name: _column_elsewhere(each, table, column) for name, each in schema.relations.items()
    }
    return replace(
        schema,
        relations=found,
        dependencies=things_renamed(
            schema.dependencies,
            lambda thing: (
                thing._replace(part=new) if thing == Thing("column", table, old) else thing
            ),
        ),
    )


def _with_column(built: Index, column: Callable[[str], str]) -> Index:
    # An index goes on calling its columns as it did.
    columns = [key.column for key in built.keys if key.column is not None]
    plain = len(columns) == len(built.keys)
    return replace(
        built,
        named=built.named or ((*columns, *built.include) if plain else ()),
        include=tuple(map(column, built.include)),
        keys=tuple(
            key if key.column is None else replace(key, column=column(key.column))
            for key in built.keys
        ),
    )


def _column_elsewhere(other: Relation, table: Name, column: Callable[[str], str]) -> Relation:
    other = replace(
        other,
        uses=frozenset(
            Use(use.relation, column(use.column)) if use.column and use.relation == table else use
            for use in other.uses
        ),
        constraints={
            name: replace(each, to_columns=tuple(map(column, each.to_columns)))
            if each.target == table
            else each
            for name, each in other.constraints.items()
        },
    )
    facts = other.sequence
    if facts is not None and facts.owner is not None and facts.owner[0] == table:
        return replace(other, sequence=replace(facts, owner=(table, column(facts.owner[1]))))
    return other


def rename_part(schema: Schema, kind: str, table: Name, pair: tuple[str, str]) -> Schema:
    """Return the schema with a constraint, index, trigger, policy or rule called anew."""
    old, new = pair
    field = {"index": "indexes", "policy": "policies"}.get(kind, f"{kind}s")
    own = schema.relations[table]
    parts: dict[str, Any] = {}
    for name, each in getattr(own, field).items():
        parts[new if name == old else name] = _called(each, new) if name == old else each
    changes: dict[str, Any] = {field: parts}
    change = _naming(schema, Name(table.schema, old), Name(table.schema, new))
    schema = schema.with_relation(replace(own, **changes))
    if kind == "constraint":
        schema = _each(schema, lambda other: _with_copy(other, table, pair))
    if kind == "index":
        schema = _each(
            schema, lambda other: with_expressions(_with_index(other, table, pair), change)
        )
    thing = Thing(kind, table, old)
    return replace(
        schema,
        dependencies=things_renamed(
            schema.dependencies, lambda each: each._replace(part=new) if each == thing else each
        ),
    )


def _called(part: Any, name: str) -> Any:
    if isinstance(part, Trigger):
        kept = part.of_constraint
        return replace(part, name=name, constraint_name=kept if kept and kept != name else "")
    # Of a rule nothing is known but what it is on.
    return part if isinstance(part, str) else replace(part, name=name)


def _each(schema: Schema, change: Callable[[Relation], Relation]) -> Schema:
    relations = {name: change(each) for name, each in schema.relations.items()}
    return replace(schema, relations=relations)


def _with_index(other: Relation, table: Name, pair: tuple[str, str]) -> Relation:
    old, new = pair
    return replace(
        other,
        constraints={
            name: replace(each, index=new)
            if each.index == old
            and table in (other.name if each.kind != "f" else None, each.target)
            else each
            for name, each in other.constraints.items()
        },
        indexes={
            name: replace(each, parent=Name(table.schema, new))
            if each.parent == Name(table.schema, old)
            else each
            for name, each in other.indexes.items()
        },
    )


def _with_copy(other: Relation, table: Name, pair: tuple[str, str]) -> Relation:
    old, new = pair
    return replace(
        other,
        constraints={
            name: replace(each, parent=(table, new)) if each.parent == (table, old) else each
            for name, each in other.constraints.items()
        },
    )


def rename_schema(schema: Schema, old: str, new: str) -> Schema:
    """Return everything with a schema called anew; nothing may name it in an expression."""
    anew: Schema = _everywhere(
        schema, lambda name: name._replace(schema=new) if name.schema == old else name
    )
    return replace(
        anew,
        schemas={(new if name == old else name): who for name, who in schema.schemas.items()},
        search_path=tuple(each for each in schema.search_path if each != old),
        system=schema.system,
        savepoints=schema.savepoints,
    )


def _everywhere(value: Any, change: Callable[[Name], Name]) -> Any:
    if isinstance(value, Name):
        return change(value)
    if isinstance(value, Mapping):
        return {_everywhere(key, change): _everywhere(each, change) for key, each in value.items()}
    if isinstance(value, tuple):
        found: Iterable[Any] = [_everywhere(each, change) for each in value]
        return type(value)(*found) if hasattr(value, "_fields") else tuple(found)
    if isinstance(value, frozenset):
        return frozenset(_everywhere(each, change) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        left = {"system", "savepoints"}
        return replace(
            value,
            **{
                each.name: _everywhere(getattr(value, each.name), change)
                for each in fields(value)
                if each.name not in left
            },
        )
    return value
