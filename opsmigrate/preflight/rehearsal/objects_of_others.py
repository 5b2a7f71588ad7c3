"""What is not the role's own in the live database: relations, and objects of every other kind."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.mentions import naming, read_reserved
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.of_users import of_users

RELATIONS = frozenset("rpvmfSiI")
MAY_EXECUTE = "has_function_privilege(o.oid, 'EXECUTE')"
IN_SCHEMAS = (
    # kind, catalog, prefix of its columns, is it visible, may it be used
    ("ROUTINE", "pg_proc", "pro", "pg_function_is_visible", MAY_EXECUTE),
    ("COLLATION", "pg_collation", "coll", "pg_collation_is_visible", "true"),
    ("CONVERSION", "pg_conversion", "con", "pg_conversion_is_visible", "true"),
    ("OPERATOR", "pg_operator", "opr", "pg_operator_is_visible", "true"),
    ("OPERATOR CLASS", "pg_opclass", "opc", "pg_opclass_is_visible", "true"),
    ("OPERATOR FAMILY", "pg_opfamily", "opf", "pg_opfamily_is_visible", "true"),
    ("STATISTICS", "pg_statistic_ext", "stx", "pg_statistics_obj_is_visible", "true"),
    ("TEXT SEARCH CONFIGURATION", "pg_ts_config", "cfg", "pg_ts_config_is_visible", "true"),
    ("TEXT SEARCH DICTIONARY", "pg_ts_dict", "dict", "pg_ts_dict_is_visible", "true"),
    ("TYPE", "pg_type", "typ", "pg_type_is_visible", "has_type_privilege(o.oid, 'USAGE')"),
)  # fmt: skip
IN_DATABASE = (
    ("EVENT TRIGGER", "pg_event_trigger", "evt", "true"),
    ("EXTENSION", "pg_extension", "ext", "true"),
    ("FOREIGN DATA WRAPPER", "pg_foreign_data_wrapper", "fdw", "true"),
    ("LANGUAGE", "pg_language", "lan", "has_language_privilege(o.oid, 'USAGE')"),
    ("PUBLICATION", "pg_publication", "pub", "true"),
    ("SERVER", "pg_foreign_server", "srv", "has_server_privilege(o.oid, 'USAGE')"),
)
# Kinds of objects with privileges (documentation, GRANT), by the words that GRANT has for them.
GRANTED = ("LANGUAGE", "TYPE")
# Not the types of relations and arrays, which are altered with theirs.
OWN_TYPES = """AND o.typelem = 0 AND (o.typrelid = 0 OR EXISTS (
    SELECT FROM pg_class c WHERE c.oid = o.typrelid AND c.relkind = 'c'))"""
IN_SCHEMA = """
SELECT '{kind}', n.nspname, o.{prefix}name::text, pg_get_userbyid(o.{prefix}owner),
    {visible}(o.oid), {usable}, EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e')
FROM {catalog} o JOIN pg_namespace n ON n.oid = o.{prefix}namespace
WHERE {of_users} AND NOT pg_has_role(current_user, o.{prefix}owner, 'USAGE') {besides}
"""
OF_DATABASE = """
SELECT '{kind}', '', o.{prefix}name::text, pg_get_userbyid(o.{prefix}owner), true, {usable}, false
FROM {catalog} o WHERE NOT pg_has_role(current_user, o.{prefix}owner, 'USAGE')
"""
# Triggers run as the role that writes, unless their function is SECURITY DEFINER.
TRIGGERS = """
SELECT t.tgrelid::bigint, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND NOT p.prosecdef
"""
# So do functions.
FUNCTIONS = of_users("""
SELECT p.proname, p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {of_users} AND NOT p.prosecdef AND p.prosrc IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
""")
FILTERED = "SELECT oid::bigint FROM pg_class WHERE relrowsecurity AND row_security_active(oid)"
DATABASE = """
SELECT datname, pg_get_userbyid(datdba), pg_has_role(current_user, datdba, 'USAGE'),
    has_database_privilege(oid, 'CREATE'), has_database_privilege(oid, 'TEMPORARY')
FROM pg_database WHERE datname = current_database()
"""


class OtherObject(NamedTuple):
    """An object of another role that is no relation; `schema` is empty where it is in none.

    `usable` is whether the role may use it; one of an extension is a `member` of that.
    """

    kind: str
    schema: str
    name: str
    owner: str
    visible: bool
    usable: bool
    member: bool

    @property
    def built_in(self) -> bool:
        """Return whether PostgreSQL puts it into every database."""
        return self.kind == "LANGUAGE" or (self.kind, self.name) == ("EXTENSION", "plpgsql")

    @property
    def label(self) -> str:
        """Return its kind and name, for a sentence."""
        name = f"{self.schema}.{self.name}" if self.schema else self.name
        return f"{self.kind} {name}"

    @property
    def grants_to(self) -> str | None:
        """Return the owner, where GRANT lets that one use it when it is another's."""
        return self.owner if self.kind in GRANTED else None

    @property
    def target(self) -> str:
        """Return its kind and name as ALTER wants them."""
        names = (self.schema, self.name) if self.schema else (self.name,)
        return f"{self.kind} {quoted(*names)}"


class LiveDatabase(NamedTuple):
    """The live database itself, and what the role may do to it."""

    name: str
    owner: str
    owned: bool
    may_create: bool
    may_create_temporary: bool

    @property
    def withholds(self) -> bool:
        """Return whether the role may not make everything in it."""
        return not (self.may_create and self.may_create_temporary)


@dataclass(frozen=True)
class ObjectsOfOthers:
    """What is not the role's own, and what its own statements execute besides themselves.

    `triggers` are the bodies by relation, `functions` those by name.
    """

    relations: Mapping[tuple[str, ...], Relation]
    objects: tuple[OtherObject, ...]
    triggers: Mapping[int, tuple[str, ...]]
    functions: Mapping[str, tuple[str, ...]]
    filtered: frozenset[int]
    reserved: frozenset[str]
    database: LiveDatabase

    def relations_in(self, text: str) -> Iterator[Relation]:
        """Yield the relations whose name stands anywhere in the text."""
        for name, relation in self.relations.items():
            if len(name) == 1 and self.stands_in(name[0], text):
                yield relation

    def named(self, kind: str, name: tuple[str, ...]) -> tuple[OtherObject, ...]:
        """Return those of a kind that a name means."""
        return tuple(
            item
            for item in self.objects
            if item.kind == kind
            and item.name == name[-1]
            and (item.schema == name[-2] if len(name) > 1 else item.visible)
        )

    def stands_in(self, name: str, text: str) -> bool:
        """Return whether the text names it."""
        # To look for it so is quick, and mostly enough.
        there = name.lower() in text.lower()
        return there and re.search(naming([name], self.reserved), text) is not None

    def anything(self, catalog: Catalog) -> bool:
        """Return whether there is anything that the role might lack."""
        mine = catalog.creatable | {"information_schema"}
        schemas = [name for name in catalog.schemas - mine if not name.startswith("pg_")]
        objects = [item for item in self.objects if not item.built_in and not item.member]
        return bool(self.relations or objects or schemas or not self.database.owned)


def read_objects_of_others(connection: BaseDatabaseWrapper, catalog: Catalog) -> ObjectsOfOthers:
    """Return them, as the live database has them now."""
    relations: dict[tuple[str, ...], Relation] = {}
    for item in catalog.relations:
        if item.kind in RELATIONS and not item.owned:
            relations[item.schema, item.name] = item
            if item.visible:
                relations[item.name,] = item
    with connection.cursor() as cursor:
        cursor.execute(_objects())
        objects = tuple(OtherObject(*row) for row in cursor.fetchall())
        cursor.execute(TRIGGERS)
        triggers: dict[int, tuple[str, ...]] = {}
        for oid, source in cursor.fetchall():
            triggers[oid] = (*triggers.get(oid, ()), source)
        cursor.execute(FUNCTIONS)
        functions: dict[str, tuple[str, ...]] = {}
        for name, source in cursor.fetchall():
            functions[name] = (*functions.get(name, ()), source)
        cursor.execute(FILTERED)
        filtered = frozenset(row[0] for row in cursor.fetchall())
        cursor.execute(DATABASE)
        database = LiveDatabase(*cursor.fetchone())
    reserved = read_reserved(connection)
    return ObjectsOfOthers(relations, objects, triggers, functions, filtered, reserved, database)


def _objects() -> str:
    found = [
        of_users(IN_SCHEMA).format(
            kind=kind,
            catalog=catalog,
            prefix=prefix,
            visible=visible,
            usable=usable,
            besides=OWN_TYPES if kind == "TYPE" else "",
        )
        for kind, catalog, prefix, visible, usable in IN_SCHEMAS
    ]
    found += [
        OF_DATABASE.format(kind=kind, catalog=catalog, prefix=prefix, usable=usable)
        for kind, catalog, prefix, usable in IN_DATABASE
    ]
    return " UNION ALL ".join(found)
