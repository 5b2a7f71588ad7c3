"""What statements need that alter, rename, move, comment or drop an object."""

from collections.abc import Iterator
from typing import Any

from opsmigrate.preflight.rehearsal.required_privileges.required import (
    DATABASE,
    DROP,
    RELATION,
    SCHEMA,
    Name,
    Required,
    RequiredPrivilege,
    Unclear,
    create_beside,
    create_in,
    name_of,
    owner,
    parts_of,
)
from opsmigrate.sql import nodes

# What the grammar calls a kind of object -> what ALTER calls it.
KINDS = {
    **dict.fromkeys(
        (
            "OBJECT_FOREIGN_TABLE",
            "OBJECT_INDEX",
            "OBJECT_MATVIEW",
            "OBJECT_SEQUENCE",
            "OBJECT_TABLE",
            "OBJECT_VIEW",
        ),
        RELATION,
    ),
    **dict.fromkeys(
        ("OBJECT_AGGREGATE", "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE"), "ROUTINE"
    ),
    **dict.fromkeys(("OBJECT_DOMAIN", "OBJECT_TYPE"), "TYPE"),
    "OBJECT_COLLATION": "COLLATION",
    "OBJECT_CONVERSION": "CONVERSION",
    "OBJECT_DATABASE": DATABASE,
    "OBJECT_EVENT_TRIGGER": "EVENT TRIGGER",
    "OBJECT_EXTENSION": "EXTENSION",
    "OBJECT_FDW": "FOREIGN DATA WRAPPER",
    "OBJECT_FOREIGN_SERVER": "SERVER",
    "OBJECT_LANGUAGE": "LANGUAGE",
    "OBJECT_OPCLASS": "OPERATOR CLASS",
    "OBJECT_OPERATOR": "OPERATOR",
    "OBJECT_OPFAMILY": "OPERATOR FAMILY",
    "OBJECT_PUBLICATION": "PUBLICATION",
    "OBJECT_SCHEMA": SCHEMA,
    "OBJECT_STATISTIC_EXT": "STATISTICS",
    "OBJECT_TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "OBJECT_TSDICTIONARY": "TEXT SEARCH DICTIONARY",
}
# Parts of a relation; the last part of their names is their own.
OF_RELATION = (
    "OBJECT_COLUMN",
    "OBJECT_POLICY",
    "OBJECT_RULE",
    "OBJECT_TABCONSTRAINT",
    "OBJECT_TRIGGER",
)
OF_TYPE = ("OBJECT_ATTRIBUTE", "OBJECT_DOMCONSTRAINT")
# Several may have one name, and the text tells them apart by their arguments.
OVERLOADED = ("OPERATOR", "ROUTINE")
IN_SCHEMA = (
    "COLLATION",
    "CONVERSION",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "STATISTICS",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
)
# Those in no schema, of which more than the owner's right is asked for another name.
IN_DATABASE = (SCHEMA, "PUBLICATION")


def parts(node: Any) -> Name:
    """Return the name that an object has in DROP, COMMENT ON, ALTER."""
    kind = node.WhichOneof("node")
    if kind == "string":
        return (str(node.string.sval),)
    if kind == "type_name":
        return parts_of(node.type_name.names)
    if kind == "object_with_args":
        return parts_of(node.object_with_args.objname)
    if kind == "range_var":
        return name_of(node.range_var)
    return tuple(part for each in node.list.items for part in parts(each))


def owned(label: str, name: Name, privilege: str | None = None) -> RequiredPrivilege | Unclear:
    """Return who may alter an object of the kind that the grammar calls `label`."""
    if label in OF_RELATION:
        return owner(name[:-1])
    if label in OF_TYPE:
        return owner(name[:-1], "TYPE")
    if label not in KINDS:
        return unknown_object(label)
    kind = KINDS[label]
    if kind in ("OPERATOR CLASS", "OPERATOR FAMILY"):
        name = name[1:]  # the index's access method stands before it
    need = owner(() if kind == DATABASE else name, kind, certain=kind not in OVERLOADED)
    if privilege is None or kind in (SCHEMA, DATABASE):
        return need
    return RequiredPrivilege(privilege, need.name, certain=need.certain, kind=kind)


def unknown_object(label: str) -> Unclear:
    """Return that the privileges of a kind of object are not known here."""
    words = label.removeprefix("OBJECT_").replace("_", " ")
    return Unclear(f"what a statement about a {words} needs is not known")


def dropped(node: Any) -> Iterator[Required]:
    """DROP: also the owner of its schema may."""
    label = nodes.label(node, "remove_type")
    for each in node.objects:
        yield owned(label, parts(each), DROP)


def commented(node: Any) -> Iterator[Required]:
    """COMMENT ON."""
    yield owned(nodes.label(node, "objtype"), parts(node.object))


def granted(node: Any) -> Iterator[Required]:
    """GRANT and REVOKE: who may grant a privilege may do so, too."""
    label = nodes.label(node, "objtype")
    if nodes.label(node, "targtype") != "ACL_TARGET_OBJECT":
        yield Unclear("a privilege on all objects of a schema is given or taken away")
        return
    for each in node.objects:
        need = owned(label, parts(each))
        if isinstance(need, RequiredPrivilege):
            yield RequiredPrivilege(need.privilege, need.name, certain=False, kind=need.kind)
        else:
            yield need


def renamed(node: Any) -> Iterator[Required]:
    """ALTER … RENAME: another name in a schema is as a new object there."""
    label = nodes.label(node, "rename_type")
    if node.HasField("relation"):
        if label == "OBJECT_ATTRIBUTE":
            yield owner(name_of(node.relation), "TYPE")
            return
        yield owner(name_of(node.relation))
        if KINDS.get(label) == RELATION:
            yield create_beside(node.relation)
        return
    name = parts(node.object)
    need = owned(label, name)
    yield need
    if isinstance(need, Unclear) or label in (*OF_RELATION, *OF_TYPE) or need.kind == "TYPE":
        return
    if need.kind in IN_DATABASE:
        yield RequiredPrivilege("CREATE", (), kind=DATABASE)
    elif need.kind in (*OVERLOADED, *IN_SCHEMA):
        yield create_in(need.name)


def moved(node: Any) -> Iterator[Required]:
    """ALTER … SET SCHEMA."""
    label = nodes.label(node, "object_type")
    if node.HasField("relation"):
        yield owner(name_of(node.relation))
    else:
        yield owned(label, parts(node.object))
    yield RequiredPrivilege("CREATE", (str(node.newschema),), kind=SCHEMA)


def given(node: Any) -> Iterator[Required]:
    """ALTER … OWNER TO."""
    label = nodes.label(node, "object_type")
    yield owned(label, parts(node.object))
    if KINDS.get(label) not in (DATABASE, "EVENT TRIGGER", "LANGUAGE"):
        yield Unclear("the new owner needs privileges of its own")


def extension(node: Any) -> Iterator[Required]:
    """ALTER EXTENSION … UPDATE, ADD and DROP."""
    yield owner((str(node.extname),), "EXTENSION")
    if node.DESCRIPTOR.name == "AlterExtensionContentsStmt":
        yield owned(nodes.label(node, "objtype"), parts(node.object))


def publication(node: Any) -> Iterator[Required]:
    """CREATE and ALTER PUBLICATION, with the tables that it gets."""
    if node.DESCRIPTOR.name == "CreatePublicationStmt":
        yield RequiredPrivilege("CREATE", (), kind=DATABASE)
    else:
        yield owner((str(node.pubname),), "PUBLICATION")
    for each in node.pubobjects:
        table = each.publication_obj_spec.pubtable
        if table.HasField("relation"):
            yield owner(name_of(table.relation))


def sequence(node: Any) -> Iterator[Required]:
    """ALTER SEQUENCE."""
    yield owner(name_of(node.sequence))
    yield from owned_by(node)


def owned_by(node: Any) -> Iterator[Required]:
    """OWNED BY of a sequence: its table has the same owner."""
    for each in node.options:
        if each.def_elem.defname == "owned_by":
            column = parts(each.def_elem.arg)
            if len(column) > 1:  # OWNED BY NONE
                yield owner(column[:-1])
