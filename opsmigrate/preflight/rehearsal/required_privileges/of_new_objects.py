"""What statements need that make an object which is no table."""

from collections.abc import Callable, Iterator
from typing import Any

from opsmigrate.preflight.rehearsal.required_privileges.of_objects import (
    KINDS,
    owned_by,
    unknown_object,
)
from opsmigrate.preflight.rehearsal.required_privileges.required import (
    DATABASE,
    Required,
    RequiredPrivilege,
    Unclear,
    create_in,
    create_relation,
    name_of,
    owner,
    parts_of,
)
from opsmigrate.sql import nodes

# CREATE on the schema, since the releases of November 2025 (CVE-2025-12817).
STATISTICS = "CREATE STATISTICS"
# CREATE on the database, where the extension is not there yet.
EXTENSION = "CREATE EXTENSION"


def named(field: str) -> Callable[[Any], Iterator[Required]]:
    """Return the rule of a command that makes the object whose name is in this field."""

    def rule(node: Any) -> Iterator[Required]:
        yield create_in(parts_of(getattr(node, field)))

    return rule


def view(node: Any) -> Iterator[Required]:
    """CREATE VIEW asks for no right on what it reads."""
    yield create_relation(node.view)
    if node.replace:
        yield owner(name_of(node.view))


def function(node: Any) -> Iterator[Required]:
    """CREATE FUNCTION: whether it replaces another depends on the arguments."""
    name = parts_of(node.funcname)
    yield create_in(name)
    if node.replace:
        yield owner(name, "ROUTINE", certain=False)


def sequence(node: Any) -> Iterator[Required]:
    """CREATE SEQUENCE."""
    yield create_relation(node.sequence)
    yield from owned_by(node)


def composite(node: Any) -> Iterator[Required]:
    """CREATE TYPE … AS."""
    yield create_in(name_of(node.typevar))


def defined(node: Any) -> Iterator[Required]:
    """CREATE AGGREGATE, OPERATOR, TYPE, COLLATION, TEXT SEARCH."""
    label, name = nodes.label(node, "kind"), parts_of(node.defnames)
    if label not in KINDS:
        yield unknown_object(label)
        return
    yield create_in(name)
    if node.replace:
        yield owner(name, KINDS[label], certain=False)


def statistics(node: Any) -> Iterator[Required]:
    """CREATE STATISTICS: on one table, which is the role's."""
    tables = [each.range_var for each in node.relations]
    for each in tables:
        yield owner(name_of(each))
    name = parts_of(node.defnames)
    need = create_in(name)
    yield RequiredPrivilege(STATISTICS, need.name, kind=need.kind)


def schema(node: Any) -> Iterator[Required]:
    """CREATE SCHEMA: asked also where IF NOT EXISTS finds it there."""
    yield RequiredPrivilege("CREATE", (), kind=DATABASE)
    if node.schema_elts:
        yield Unclear("what CREATE SCHEMA makes in the schema is not looked at")


def extension(node: Any) -> Iterator[Required]:
    """CREATE EXTENSION: nothing where IF NOT EXISTS finds it there."""
    yield RequiredPrivilege(EXTENSION, (str(node.extname),), kind=DATABASE)
