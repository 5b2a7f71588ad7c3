"""CREATE EXTENSION, and ALTER of one: what it brings, only its own script tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.commands.objects import need_of_object
from opsmigrate.preflight.interpret.effects import Unknown, UnknownError
from opsmigrate.preflight.interpret.schema import Type
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

# Extension -> the types that columns may be of, and what these are (pg_type.typtype).
TYPES = {
    "citext": ("citext",),
    "cube": ("cube",),
    "hstore": ("hstore",),
    "isn": ("ean13", "isbn", "isbn13", "ismn", "ismn13", "issn", "issn13", "upc"),
    "ltree": ("lquery", "ltree", "ltxtquery"),
    "seg": ("seg",),
    "vector": ("halfvec", "sparsevec", "vector"),
}
# They bring functions and operators, and no relation.
NO_RELATIONS = frozenset(
    {
        *TYPES, "btree_gin", "btree_gist", "fuzzystrmatch", "intarray", "pg_trgm", "pgcrypto",
        "tablefunc", "unaccent", "uuid-ossp",
    }
)  # fmt: skip
# Before, its file is not found.
IS_NOT_AVAILABLE = 150_000


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateExtensionStmt, says."""
    name = as_stored(node.extname)
    if name in step.schema.extensions:
        if node.if_not_exists:
            return
        step.refuse("42710", "name-taken", name=name)
    if step.schema.system.extensions and name not in step.schema.system.extensions:
        state = "0A000" if step.schema.version >= IS_NOT_AVAILABLE else "58P01"
        step.refuse(state, "missing-extension", name=name)
    step.effects.need("CREATE EXTENSION", "extension", (name,))
    options = {each.def_elem.defname: each.def_elem.arg.string.sval for each in node.options}
    home = step.schema.home(as_stored(options["schema"]) if "schema" in options else None)
    if name not in NO_RELATIONS or home is None or "cascade" in options:
        raise UnknownError(f"what the extension {name} makes", rights_told=True)
    types = {
        Name(home, each): Type(
            name=Name(home, each), kind="b", owner=step.schema.role, extension=name
        )
        for each in TYPES.get(name, ())
    }
    why = f"what the extension {name} makes"
    step.schema = replace(
        step.schema,
        extensions={**step.schema.extensions, name: home},
        types={**step.schema.types, **types},
        incomplete=why,
    )
    # All relations are still as they were.
    step.effects.unknown = Unknown(why, (Name(home, name),), rights_told=True)


def alter(step: Step, node: Any) -> None:
    """ALTER EXTENSION … UPDATE, ADD and DROP."""
    step.effects.need("OWNER", "extension", (as_stored(node.extname),))
    if node.DESCRIPTOR.name == "AlterExtensionContentsStmt":
        need_of_object(step, label(node, "objtype"), node.object)


COMMANDS: Mapping[str, Command] = {"create_extension_stmt": create}
RIGHTS: Mapping[str, Command] = {
    "alter_extension_contents_stmt": alter,
    "alter_extension_stmt": alter,
}
