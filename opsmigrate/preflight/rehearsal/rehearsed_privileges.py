"""The rights that a copy hides: on it everything belongs to the role that restored it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.preflight.rehearsal.objects_of_others import (
    ObjectsOfOthers,
    read_objects_of_others,
)
from opsmigrate.preflight.rehearsal.rehearsed_statement import FURTHER, RehearsedStatement
from opsmigrate.preflight.rehearsal.required_privileges.of_new_objects import EXTENSION, STATISTICS
from opsmigrate.preflight.rehearsal.required_privileges.of_statements import (
    required_privileges,
    sets_role,
)
from opsmigrate.preflight.rehearsal.required_privileges.required import (
    DATABASE,
    DROP,
    MAINTAIN,
    RELATION,
    SCHEMA,
    SCHEMA_OF,
    Call,
    Code,
    Name,
    RequiredPrivilege,
)
from opsmigrate.preflight.walk.privileges import (
    BY_OTHERS,
    OWNER,
    MissingPrivilege,
    missing_of_sequence,
    missing_privilege,
    missing_to_insert,
    on_relation,
    on_schema,
)
from opsmigrate.report import Finding, Severity
from opsmigrate.sql.bodies import without_literals

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.reached_relations import ReachedRelations

REHEARSED, BY_HAND = "it succeeded in the rehearsal", "its SQL is understood"
WRITES = ("INSERT", "UPDATE", "DELETE")
# The first releases that ask for CREATE on the schema of new statistics (CVE-2025-12817).
ASKS_FOR_STATISTICS = {14: 140_020, 15: 150_015, 16: 160_011, 17: 170_007, 18: 180_001}


def check_rehearsed_privileges(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    statements: Iterable[PlannedStatement | RehearsedStatement],
    ledger: Ledger,
    *,
    known: str = REHEARSED,
) -> None:
    """Report privileges that statements lack on the live database; `known` says why they count."""
    if catalog.superuser:
        return
    others = read_objects_of_others(connection, catalog)
    reached = _reached(connection, others)
    as_another = False
    asked: set[str] = set()
    for statement in statements:
        sql = statement.sql
        place = f"{statement.migration} {statement.operation} {sql}"
        if place in asked:
            continue
        asked.add(place)
        as_another = as_another or sets_role(sql)
        with ledger.at(statement.migration, statement.operation):
            if sql == FURTHER:
                if others.anything(catalog):
                    ledger.mark_undecided(
                        "it executed more statements than were recorded for checking their "
                        "privileges"
                    )
                continue
            found = dict.fromkeys(_missing(connection, catalog, others, sql))
            found |= dict.fromkeys(_missing_on_reached(connection, others, reached, sql))
            for missing in found:
                if isinstance(missing, MissingPrivilege) and not as_another:
                    _find(ledger, missing, catalog.role, known)
                else:
                    words = missing.words if isinstance(missing, MissingPrivilege) else missing
                    ledger.mark_undecided(f"{known}, but {words}")


def _find(ledger: Ledger, missing: MissingPrivilege, role: str, known: str) -> None:
    """Add a finding, once; not through find(), as it is the SQL by hand that needs the right."""
    ledger.add(
        Finding(
            id="missing-privilege",
            severity=Severity.ERROR,
            message=f"{known}, but {missing.words}",
            hint=BY_OTHERS,
            steps=missing.steps(role),
            migration=ledger.migration,
            operation=ledger.operation,
            table=missing.on,
        )
    )


def _missing(
    connection: BaseDatabaseWrapper, catalog: Catalog, others: ObjectsOfOthers, sql: str
) -> Iterator[MissingPrivilege | str]:
    """Yield what is certainly missing, and in words what may be."""
    for need in required_privileges(sql):
        if isinstance(need, RequiredPrivilege):
            yield from _missing_of(connection, catalog, others, need)
        elif isinstance(need, Code):
            yield from _in_code(others, need.text)
        elif isinstance(need, Call):
            for source in others.functions.get(need.name, ()):
                yield from _behind(connection, others, f"the function {need.name}", source)
        elif others.anything(catalog):
            yield need.why
    text = without_literals(sql)
    for item in others.objects:
        if not item.usable and others.stands_in(item.name, text):
            yield f"{item.label} belongs to another role, and may not be used"


def _reached(connection: BaseDatabaseWrapper, others: ObjectsOfOthers) -> ReachedRelations | None:
    """Return what tells which relations a statement reaches, where one may be another role's."""
    if not others.relations:
        return None
    # Loaded only here, as it takes a while.
    from opsmigrate.preflight.rehearsal.reached_relations import reached_relations

    return reached_relations(connection)


def _missing_on_reached(
    connection: BaseDatabaseWrapper,
    others: ObjectsOfOthers,
    reached: ReachedRelations | None,
    sql: str,
) -> Iterator[MissingPrivilege | str]:
    """Yield what is missing on relations of others that a statement does not name, or may be."""
    for right in reached.rights_of(sql) if reached is not None else ():
        relation = others.relations.get(right.name)
        if relation is None:
            continue
        if right.privilege == OWNER:
            lacks: tuple[MissingPrivilege, ...] = (on_relation(OWNER, relation),)
        else:
            lacks = missing_of_sequence(connection, relation)
        for missing in lacks:
            yield missing if right.certain else missing.words


def _missing_of(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    others: ObjectsOfOthers,
    need: RequiredPrivilege,
) -> Iterator[MissingPrivilege | str]:
    if need.kind == RELATION:
        yield from _of_relation(connection, catalog, others, need)
        return
    for missing in _besides_relations(catalog, others, need):
        yield missing if need.certain else missing.words


def _in_code(others: ObjectsOfOthers, text: str) -> Iterator[str]:
    for relation in others.relations_in(text):
        yield f"{relation.label} belongs to another role, and the code may need privileges on it"


def _of_relation(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    others: ObjectsOfOthers,
    need: RequiredPrivilege,
) -> Iterator[MissingPrivilege | str]:
    named = others.relations.get(need.name)
    if named is not None:
        yield from _missing_on(connection, catalog, others, named, need)
    if need.privilege not in WRITES:
        return
    # Triggers run as the role that writes.
    for relation in catalog.relations:
        if need.name in ((relation.name,), (relation.schema, relation.name)):
            for source in others.triggers.get(relation.oid, ()):
                yield from _behind(connection, others, f"a trigger of {relation.label}", source)


def _behind(
    connection: BaseDatabaseWrapper, others: ObjectsOfOthers, what: str, source: str
) -> Iterator[str]:
    """Yield the relations of others that code of the database names."""
    for other in others.relations_in(source):
        if any(missing_privilege(connection, other, verb) for verb in ("SELECT", *WRITES)):
            yield f"{what} names {other.label}, of another role"


def _missing_on(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    others: ObjectsOfOthers,
    relation: Relation,
    need: RequiredPrivilege,
) -> Iterator[MissingPrivilege | str]:
    verb = need.privilege
    if verb == MAINTAIN and (catalog.version < 170_000 or relation.kind in "iI"):
        verb = OWNER
    if verb in (OWNER, DROP):
        if verb == OWNER or relation.schema not in catalog.owned_schemas:
            missing = on_relation(OWNER, relation)
            yield missing if need.certain else missing.words
        return
    all_missing: tuple[MissingPrivilege, ...]
    if verb == "INSERT" and need.columns is not None:
        all_missing = missing_to_insert(connection, relation, need.columns)
    else:
        one = missing_privilege(connection, relation, verb, need.columns or ())
        all_missing = (one,) if one is not None else ()
    for each in all_missing:
        decided = need.columns or not _some_columns(connection, relation, verb)
        yield each if need.certain and decided else each.words
    if relation.oid in others.filtered:
        yield f"row security of {relation.label} filters its rows for this role"


def _besides_relations(
    catalog: Catalog, others: ObjectsOfOthers, need: RequiredPrivilege
) -> Iterator[MissingPrivilege]:
    """Yield what is missing on a schema, on the database, or on an object of any other kind."""
    if need.kind == DATABASE:
        yield from _on_database(catalog, others, need)
    elif need.kind in (SCHEMA, SCHEMA_OF):
        yield from _on_schema(catalog, need)
    else:
        for item in others.named(need.kind, need.name):
            if need.privilege != DROP or item.schema not in catalog.owned_schemas:
                yield MissingPrivilege(OWNER, item.label, item.target, item.grants_to)


def _on_schema(catalog: Catalog, need: RequiredPrivilege) -> Iterator[MissingPrivilege]:
    schema = _schema(catalog, need)
    there = schema is None or schema in catalog.schemas
    if need.privilege == OWNER:
        if there and schema not in catalog.owned_schemas:
            yield on_schema(OWNER, schema or "public")
        return
    if need.privilege == STATISTICS:
        asks = ASKS_FOR_STATISTICS.get(catalog.version // 10_000, 0)
        if catalog.version < asks:
            return
    if there and schema not in catalog.creatable:
        yield on_schema("CREATE", schema or "public")


def _on_database(
    catalog: Catalog, others: ObjectsOfOthers, need: RequiredPrivilege
) -> Iterator[MissingPrivilege]:
    database = others.database
    target = f"DATABASE {quoted(database.name)}"
    if need.privilege == OWNER:
        if not database.owned:
            yield MissingPrivilege(OWNER, target, target, database.owner)
        return
    if need.privilege == EXTENSION and need.name[0] in catalog.extensions:
        return
    temporary = need.privilege == "TEMPORARY"
    if not (database.may_create_temporary if temporary else database.may_create):
        yield MissingPrivilege("TEMPORARY" if temporary else "CREATE", target, target)


def _schema(catalog: Catalog, need: RequiredPrivilege) -> str | None:
    """Return the schema that is named, or in which a relation is; None where there is none."""
    if need.kind == SCHEMA:
        return need.name[-1] if need.name else catalog.schema
    name: Name = need.name
    if len(name) > 1:
        return name[-2]
    found = [item.schema for item in catalog.relations if item.visible and item.name == name[-1]]
    return found[0] if found else catalog.schema


def _some_columns(connection: BaseDatabaseWrapper, relation: Relation, privilege: str) -> bool:
    """Return whether the privilege is granted on columns: which of them are needed is not known."""
    if privilege not in ("SELECT", "INSERT", "UPDATE") or relation.kind == "S":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_any_column_privilege(%s::oid, %s)", [relation.oid, privilege])
        return bool(cursor.fetchone()[0])
