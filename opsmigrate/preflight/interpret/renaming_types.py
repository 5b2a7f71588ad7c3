"""The schema with a type or a function called anew, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from opsmigrate.preflight.interpret.schema import Relation, Schema, Signature
from opsmigrate.preflight.interpret.thing import Thing, things_renamed
from opsmigrate.sql.names import Name
from opsmigrate.sql.renamed import with_function, with_type
from opsmigrate.sql.types import user_type

Expressions = Callable[[str], str]


def with_expressions(table: Relation, change: Expressions) -> Relation:
    """Return a relation with each of its expressions changed."""

    def changed(text: str | None) -> str | None:
        return None if text is None else change(text)

    return replace(
        table,
        columns={
            name: each if each.default is None else replace(each, default=change(each.default))
            for name, each in table.columns.items()
        },
        constraints={
            name: each
            if each.condition is None
            else replace(each, condition=change(each.condition))
            for name, each in table.constraints.items()
        },
        indexes={
            name: replace(
                each,
                predicate=changed(each.predicate),
                keys=tuple(replace(key, expression=changed(key.expression)) for key in each.keys),
            )
            for name, each in table.indexes.items()
        },
        policies={
            name: replace(each, using=changed(each.using), check=changed(each.check))
            for name, each in table.policies.items()
        },
    )


def rename_function(schema: Schema, old: Signature, new: Name) -> Schema:
    """Return the schema with a function called anew; what calls it by name follows."""
    signature = Signature(new, old.arguments)
    functions = {
        (signature if key == old else key): replace(each, signature=signature)
        if key == old
        else each
        for key, each in schema.functions.items()
    }
    relations = {
        name: replace(
            with_expressions(each, lambda text: with_function(text, old.name, new)),
            triggers={
                key: replace(trigger, function=new) if trigger.function == old.name else trigger
                for key, trigger in each.triggers.items()
            },
        )
        for name, each in schema.relations.items()
    }
    types = {
        name: replace(
            each,
            checks={
                key: (with_function(text, old.name, new), valid)
                for key, (text, valid) in each.checks.items()
            },
        )
        for name, each in schema.types.items()
    }
    return replace(
        schema,
        functions=functions,
        relations=relations,
        types=types,
        dependencies=things_renamed(
            schema.dependencies,
            lambda thing: thing._replace(name=signature) if thing.name == old else thing,
        ),
    )


def rename_type(schema: Schema, old: Name, new: Name) -> Schema:
    """Return the schema with a type that is no relation called anew."""
    types = {
        (new if name == old else name): replace(each, name=new if name == old else name)
        for name, each in schema.types.items()
    }
    thing = Thing("type", old)
    schema = replace(
        schema,
        types=types,
        dependencies=things_renamed(
            schema.dependencies, lambda each: Thing("type", new) if each == thing else each
        ),
    )
    return rename_type_texts(schema, old, new)


def rename_type_texts(schema: Schema, old: Name, new: Name) -> Schema:
    """Return the schema with what is of a type being of its new name."""
    before, after = user_type(old), user_type(new)

    def shown(text: str) -> str:
        return after + text.removeprefix(before) if text in (before, f"{before}[]") else text

    relations = {
        name: replace(
            with_expressions(each, lambda text: with_type(text, old, new)),
            columns={
                key: replace(
                    column,
                    type=shown(column.type),
                    default=with_type(column.default, old, new) if column.default else None,
                )
                for key, column in each.columns.items()
            },
        )
        if any(before in column.type for column in each.columns.values())
        else each
        for name, each in schema.relations.items()
    }
    functions = {}
    signatures = {}
    for key, each in schema.functions.items():
        signature = Signature(key.name, tuple(map(shown, key.arguments)))
        signatures[key] = signature
        row = tuple((name, shown(type_)) for name, type_ in each.row)
        functions[signature] = replace(
            each, signature=signature, returns=shown(each.returns), row=row
        )
    types = {
        name: replace(each, base=shown(each.base)) if each.base is not None else each
        for name, each in schema.types.items()
    }
    return replace(
        schema,
        relations=relations,
        functions=functions,
        types=types,
        dependencies=things_renamed(
            schema.dependencies,
            lambda thing: (
                thing._replace(name=signatures.get(thing.name, thing.name))
                if thing.kind == "function"
                else thing
            ),
        ),
    )
