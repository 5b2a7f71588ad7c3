"""The rights that a copy hides: on it everything belongs to the role that restored it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.mentions import naming, read_reserved
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.of_users import of_users
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.recording import FURTHER
from opsmigrate.preflight.rehearsal.required_privileges import (
    DATA,
    DEFINES,
    DROP,
    RequiredPrivilege,
    required_privileges,
)
from opsmigrate.preflight.walk.privileges import (
    BY_OTHERS,
    OWNER,
    MissingPrivilege,
    missing_privilege,
    missing_to_insert,
    on_relation,
    on_schema,
)
from opsmigrate.preflight.walk.referenced_tables import QUALIFIED, name_parts, without_texts
from opsmigrate.report import Finding, Severity

RELATIONS = frozenset("rpvmfSiI")
WRITES = ("INSERT", "UPDATE", "DELETE")
# What is made in a schema, and so needs CREATE on it.
MAKES = re.compile(
    r"^\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNLOGGED\s+|MATERIALIZED\s+|RECURSIVE\s+)*"
    r"(?:TABLE|VIEW|SEQUENCE|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|COLLATION)\s+"
    rf"(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>{QUALIFIED})",
    re.I,
)
MAKES_IN_DATABASE = re.compile(r"^\s*CREATE\s+(SCHEMA|PUBLICATION)\b", re.I)
ANOTHER_ROLE = re.compile(r"^\s*SET\s+(?:LOCAL\s+|SESSION\s+)?(?:ROLE|SESSION\s+AUTH)", re.I)
# Code in the statement, which is no text to us.
BLOCK = re.compile(r"^\s*(?:DO|CALL)\b", re.I)
# Functions and types of other roles, and whether this one may use them; not those of extensions,
# which no migration changes one by one.
OTHERS = of_users("""
SELECT p.proname, has_function_privilege(p.oid, 'EXECUTE')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {of_users}
    AND NOT pg_has_role(current_user, p.proowner, 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION
SELECT t.typname, has_type_privilege(t.oid, 'USAGE')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {of_users} AND t.typtype IN ('d', 'e', 'r')
    AND NOT pg_has_role(current_user, t.typowner, 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
""")
CHANGES = re.compile(
    r"^\s*(?:ALTER|DROP|COMMENT\s+ON|CREATE\s+OR\s+REPLACE|GRANT|REVOKE)\s+"
    r"(?:FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|TYPE|DOMAIN)\b",
    re.I,
)
OF_SCHEMA = re.compile(rf"^\s*(?:ALTER|DROP|COMMENT\s+ON)\s+SCHEMA\s+(?P<name>{QUALIFIED})", re.I)
# Triggers run as the role that writes, unless their function is SECURITY DEFINER.
TRIGGERS = """
SELECT t.tgrelid::bigint, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND NOT p.prosecdef
"""
FILTERED = "SELECT oid::bigint FROM pg_class WHERE relrowsecurity AND row_security_active(oid)"


@dataclass(frozen=True)
class _Others:
    """What is not the role's own: relations; functions and types, and whether it may use them."""

    relations: Mapping[tuple[str, ...], Relation]
    things: Mapping[str, bool]
    triggers: Mapping[int, tuple[str, ...]]
    filtered: frozenset[int]
    reserved: frozenset[str]

    def named_in(self, text: str) -> Iterator[Relation]:
        """Yield the relations whose name stands anywhere in the text."""
        for name, relation in self.relations.items():
            if len(name) == 1 and self.stands_in(name[0], text):
                yield relation

    def stands_in(self, name: str, text: str) -> bool:
        """Return whether the text names it."""
        return re.search(naming([name], self.reserved), text) is not None


def check_rehearsed_privileges(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    statements: Iterable[Mapping[str, Any]],
    ledger: Ledger,
) -> None:
    """Report privileges that the rehearsed statements lack on the live database."""
    if catalog.superuser:
        return
    others = _others(connection, catalog)
    as_another = False
    asked: set[str] = set()
    for statement in statements:
        sql = statement["sql"]
        as_another = as_another or bool(ANOTHER_ROLE.match(sql))
        place = f"{statement['migration']} {statement['operation']} {sql}"
        if place in asked:
            continue
        asked.add(place)
        with ledger.at(statement["migration"], statement["operation"]):
            if sql == FURTHER and others.relations:
                ledger.mark_undecided(
                    "it executed more statements than were recorded for checking their privileges"
                )
            for missing in _missing(connection, catalog, others, sql):
                if isinstance(missing, MissingPrivilege) and not as_another:
                    _find(ledger, missing, catalog.role)
                else:
                    words = missing.words if isinstance(missing, MissingPrivilege) else missing
                    ledger.mark_undecided(f"it succeeded in the rehearsal, but {words}")


def _find(ledger: Ledger, missing: MissingPrivilege, role: str) -> None:
    """Add a finding, once; not through find(), as it is the SQL by hand that needs the right."""
    ledger.add(
        Finding(
            id="missing-privilege",
            severity=Severity.ERROR,
            message=f"it succeeded in the rehearsal, but {missing.words}",
            hint=BY_OTHERS,
            steps=missing.steps(role),
            migration=ledger.migration,
            operation=ledger.operation,
            table=missing.on,
        )
    )


def _others(connection: BaseDatabaseWrapper, catalog: Catalog) -> _Others:
    relations: dict[tuple[str, ...], Relation] = {}
    for item in catalog.relations:
        if item.kind in RELATIONS and not item.owned:
            relations[item.schema, item.name] = item
            if item.visible:
                relations[item.name,] = item
    with connection.cursor() as cursor:
        cursor.execute(OTHERS)
        things: dict[str, bool] = {}
        for name, usable in cursor.fetchall():
            things[name] = usable and things.get(name, True)
        cursor.execute(TRIGGERS)
        triggers: dict[int, tuple[str, ...]] = {}
        for oid, source in cursor.fetchall():
            triggers[oid] = (*triggers.get(oid, ()), source)
        cursor.execute(FILTERED)
        filtered = frozenset(row[0] for row in cursor.fetchall())
    return _Others(relations, things, triggers, filtered, read_reserved(connection))


def _missing(
    connection: BaseDatabaseWrapper, catalog: Catalog, others: _Others, sql: str
) -> Iterator[MissingPrivilege | str]:
    """Yield what is certainly lacking, and in words what may be."""
    text = without_texts(sql)
    if BLOCK.match(sql):
        for relation in others.named_in(sql):
            yield (
                f"{relation.label} belongs to another role, and the code may need privileges on it"
            )
        return
    yield from _missing_to_make(connection, catalog, text)
    understood = set()
    for need in required_privileges(sql):
        named = others.relations.get(need.name)
        if named is not None:
            understood.add(named.oid)
            yield from _missing_on(connection, catalog, others, named, need)
        yield from _behind(connection, catalog, others, need)
    yield from _unclear(connection, others, text, understood)


def _unclear(
    connection: BaseDatabaseWrapper, others: _Others, text: str, understood: set[int]
) -> Iterator[str]:
    """Yield in words what the text names besides what was understood."""
    data = DATA.match(text)
    for relation in others.named_in(text):
        if relation.oid in understood or DEFINES.match(text):
            continue
        if not data or missing_privilege(connection, relation, "SELECT"):
            yield f"{relation.label} belongs to another role, and it is not clear what it needs"
    for thing, usable in others.things.items():
        if (CHANGES.match(text) or not usable) and others.stands_in(thing, text):
            yield f"{thing} belongs to another role"


def _missing_on(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    others: _Others,
    relation: Relation,
    need: RequiredPrivilege,
) -> Iterator[MissingPrivilege | str]:
    if need.privilege in (OWNER, DROP):
        if need.privilege == OWNER or relation.schema not in catalog.owned_schemas:
            yield on_relation(OWNER, relation)
        return
    if need.privilege == "INSERT" and need.columns is not None:
        all_missing = missing_to_insert(connection, relation, need.columns)
    else:
        missing = missing_privilege(connection, relation, need.privilege, need.columns or ())
        all_missing = (missing,) if missing is not None else ()
    for each in all_missing:
        told = need.columns or not _some_columns(connection, relation, need.privilege)
        yield each if need.certain and told else each.words
    if relation.oid in others.filtered:
        yield f"row security of {relation.label} filters its rows for this role"


def _behind(
    connection: BaseDatabaseWrapper, catalog: Catalog, others: _Others, need: RequiredPrivilege
) -> Iterator[str]:
    """Yield the relations of others that triggers name, which run as the role that writes."""
    if need.privilege not in WRITES:
        return
    for relation in catalog.relations:
        if need.name not in ((relation.name,), (relation.schema, relation.name)):
            continue
        for source in others.triggers.get(relation.oid, ()):
            for other in others.named_in(source):
                if any(missing_privilege(connection, other, verb) for verb in ("SELECT", *WRITES)):
                    yield f"a trigger of {relation.label} names {other.label}, of another role"


def _missing_to_make(
    connection: BaseDatabaseWrapper, catalog: Catalog, text: str
) -> Iterator[MissingPrivilege | str]:
    made = MAKES.match(text)
    if made:
        parts = name_parts(made["name"])
        schema = parts[0] if len(parts) > 1 else catalog.schema
        if schema is None or (schema in catalog.schemas and schema not in catalog.creatable):
            yield on_schema("CREATE", schema or "public")
    changed = OF_SCHEMA.match(text)
    if changed:
        schema = name_parts(changed["name"])[0]
        if schema in catalog.schemas and schema not in catalog.owned_schemas:
            yield on_schema(OWNER, schema)
    if MAKES_IN_DATABASE.match(text) and not catalog.may_create_extensions:
        database = quoted(str(connection.settings_dict["NAME"]))
        yield MissingPrivilege("CREATE", f"DATABASE {database}", f"DATABASE {database}")


def _some_columns(connection: BaseDatabaseWrapper, relation: Relation, privilege: str) -> bool:
    """Return whether the privilege is granted on columns: which of them are needed is not told."""
    if privilege not in ("SELECT", "INSERT", "UPDATE") or relation.kind == "S":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_any_column_privilege(%s::oid, %s)", [relation.oid, privilege])
        return bool(cursor.fetchone()[0])
