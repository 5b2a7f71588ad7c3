"""Which of the rights that a statement needs the role lacks: the live database is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.lock_modes import MODES, ROW_EXCLUSIVE
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.roles import KNOWS_MAINTAIN
from opsmigrate.preflight.interpret.schema import Schema, Signature
from opsmigrate.preflight.rehearsal.objects_of_others import ObjectsOfOthers
from opsmigrate.preflight.walk.privileges import (
    OWNER,
    SUPERUSER,
    MissingPrivilege,
    missing_of_sequence,
    missing_privilege,
    on_relation,
    on_schema,
)
from opsmigrate.sql.names import Name

# By these words, Right says who may do something, and no privilege that can be granted.
OF_OWNERS = ("OWNER", "DROP", "GRANT")
BY_COLUMN = ("SELECT", "INSERT", "UPDATE")
WRITES = ("INSERT", "UPDATE", "DELETE")
# What another role must have, or the role itself: the function that tells (documentation, System
# Information Functions), by the kind of object.
ASKED = {
    "relation": "SELECT has_table_privilege(%s::name, {oid}::oid, {privilege})",
    "schema": "SELECT has_schema_privilege(%s::name, {oid}::regnamespace, {privilege})",
}
HELD = "SELECT rolname::text FROM pg_roles WHERE pg_has_role(current_user, oid, 'USAGE')"
SET_ROLE_SINCE = ALSO_WEAKER_SINCE = 160_000

Lacking = Iterator[MissingPrivilege | str]


@dataclass
class LackingRights:
    """Tells what the role lacks; `others` is what is not its own.

    Ownership is told by the schema that the statement finds, as the plan may have changed it.
    """

    connection: BaseDatabaseWrapper
    catalog: Catalog
    others: ObjectsOfOthers
    _relations: Mapping[tuple[str, ...], Relation] = field(init=False)
    # The roles of which it has the privileges.
    _held: frozenset[str] = field(init=False)
    _answers: dict[tuple[Any, ...], tuple[MissingPrivilege | str, ...]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self._relations = {(each.schema, each.name): each for each in self.catalog.relations}
        with self.connection.cursor() as cursor:
            cursor.execute(HELD)
            self._held = frozenset(row[0] for row in cursor.fetchall())

    def of(self, schema: Schema, right: Right) -> Lacking:
        """Yield what is certainly missing for this right, and in words what may be."""
        ask = ASKING.get(right.object_kind)
        found = ask(self, schema, right) if ask is not None else self._object(right)
        for each in found:
            yield each if right.certain or isinstance(each, str) else each.words

    def live(self, schema: Schema, name: tuple[str, ...]) -> Relation | None:
        """Return the relation as the live database has it; None for what the plan makes."""
        found = schema.at(Name(*name)) if len(name) == 2 else None
        if found is None:
            return self._relations.get(tuple(name))
        return self._relations.get(tuple(found.live)) if found.live is not None else None

    def _of_relation(self, schema: Schema, right: Right) -> Lacking:
        found = schema.at(Name(*right.name)) if len(right.name) == 2 else None
        if found is not None and found.kind == "c":
            yield from self._of_type(schema, right)
            return
        relation = self.live(schema, right.name)
        if relation is None:
            return
        if right.privilege in OF_OWNERS:
            owned = found.owner in self._held if found is not None else relation.owned
            if owned or (right.privilege == "DROP" and self._owns(schema, relation.schema)):
                return
            yield on_relation(OWNER, relation)
            return
        key = (relation.oid, right.privilege, right.columns, right.role)
        if key not in self._answers:
            self._answers[key] = tuple(self._on(relation, right))
        yield from self._answers[key]

    def _on(self, relation: Relation, right: Right) -> Lacking:
        if right.role:
            yield from self._of_another(right, relation.oid, on_relation(right.privilege, relation))
            return
        verb = self._verb(right.privilege)
        missing = missing_privilege(self.connection, relation, verb, right.columns)
        if missing is not None:
            missing = on_relation(verb.partition(",")[0], relation)
            some = not right.columns and self._some_columns(relation, verb)
            # Which of the columns it is about, nothing tells.
            yield missing.words if some else missing
        if relation.oid in self.others.filtered:
            yield f"row security of {relation.label} filters its rows for this role"

    def _verb(self, privilege: str) -> str:
        """Return the privilege; of those that suffice for a lock each, all (LockTableAclCheck)."""
        if not privilege.startswith("LOCK "):
            return privilege
        mode = MODES.index(privilege.removeprefix("LOCK "))
        widely = self.catalog.version >= ALSO_WEAKER_SINCE
        if mode == 0 and not widely:
            return "SELECT"
        verbs = ["UPDATE", "DELETE", "TRUNCATE"]
        verbs += ["MAINTAIN"] if self.catalog.version >= KNOWS_MAINTAIN else []
        writes = MODES.index(ROW_EXCLUSIVE)
        verbs += ["INSERT"] if mode == writes or (widely and mode < writes) else []
        return ", ".join(["SELECT", *verbs] if mode == 0 else verbs)

    def _some_columns(self, relation: Relation, privilege: str) -> bool:
        """Return whether the privilege is granted on columns: which are needed is not known."""
        if privilege not in BY_COLUMN or relation.kind == "S":
            return False
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT has_any_column_privilege(%s::oid, %s)", [relation.oid, privilege]
            )
            return bool(cursor.fetchone()[0])

    def _of_sequence(self, schema: Schema, right: Right) -> Lacking:
        relation = self.live(schema, right.name)
        if relation is not None:
            yield from missing_of_sequence(self.connection, relation)

    def _of_schema(self, schema: Schema, right: Right) -> Lacking:
        [name] = right.name
        if name not in self.catalog.schemas or not name:
            return
        if right.role:
            yield from self._of_another(right, quoted(name), on_schema(right.privilege, name))
        elif right.privilege in OF_OWNERS:
            if not self._owns(schema, name):
                yield on_schema(OWNER, name)
        elif right.privilege == "CREATE" and name not in self.catalog.creatable:
            yield on_schema("CREATE", name)

    def _owns(self, schema: Schema, name: str) -> bool:
        return schema.schemas.get(name) in self._held or name in self.catalog.owned_schemas

    def _of_another(self, right: Right, oid: int | str, missing: MissingPrivilege) -> Lacking:
        """Yield in words what another role lacks, or the role itself where it is not the owner."""
        with self.connection.cursor() as cursor:
            asked = ASKED[right.object_kind].format(oid="%s", privilege="%s")
            cursor.execute(asked, [right.role, oid, right.privilege])
            if cursor.fetchone()[0] is False:
                yield f"{right.privilege} on {missing.on} is not granted to the role {right.role}"

    def _of_database(self, schema: Schema, right: Right) -> Lacking:
        database = self.others.database
        target = f"DATABASE {quoted(database.name)}"
        if right.privilege in OF_OWNERS:
            if not database.owned:
                yield MissingPrivilege(OWNER, target, target, database.owner)
            return
        temporary = right.privilege == "TEMPORARY"
        if not (database.may_create_temporary if temporary else database.may_create):
            yield MissingPrivilege(right.privilege, target, target)

    def _of_extension(self, schema: Schema, right: Right) -> Lacking:
        if right.privilege == "CREATE EXTENSION":
            # One that is not trusted is for superusers.
            if self.catalog.available_extensions.get(right.name[0]) is False:
                yield MissingPrivilege(SUPERUSER, "", "")
            created = Right(privilege="CREATE", object_kind="database", name=())
            yield from self._of_database(schema, created)
            return
        yield from self._object(right)

    def _of_role(self, schema: Schema, right: Right) -> Lacking:
        if right.privilege == SUPERUSER:
            yield MissingPrivilege(SUPERUSER, "", "")
            return
        [name] = right.name
        means = "SET" if self.catalog.version >= SET_ROLE_SINCE else "MEMBER"
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_has_role(current_user, %s::name, %s)", [name, means])
            if not cursor.fetchone()[0]:
                yield f"the role may not become {name}, who is to be the owner"

    def _of_function(self, schema: Schema, right: Right) -> Lacking:
        schema_name, name, *arguments = right.name
        signature = Signature(Name(schema_name, name), tuple(arguments))
        known = schema.functions.get(signature)
        if right.privilege in OF_OWNERS and known is not None:
            if known.owner in self._held:
                return
            if right.privilege == "DROP" and self._owns(schema, schema_name):
                return
            shown = f"{quoted(schema_name, name)}({', '.join(arguments)})"
            label = f"ROUTINE {schema_name}.{name}"
            yield MissingPrivilege(OWNER, label, f"ROUTINE {shown}", known.owner)
            return
        if right.privilege == "EXECUTE":
            for item in self.others.named("ROUTINE", (schema_name, name)):
                if not item.usable:
                    yield f"{item.label} belongs to another role, and may not be used"
            return
        yield from self._object(right)

    def _of_type(self, schema: Schema, right: Right) -> Lacking:
        name = Name(*right.name)
        known = schema.types.get(name) or schema.with_rows(name)
        if right.privilege in OF_OWNERS:
            if known is None or known.owner in self._held:
                return
            if right.privilege == "DROP" and self._owns(schema, name.schema):
                return
            label = f"TYPE {name}"
            target = f"TYPE {quoted(*name)}"
            yield MissingPrivilege(OWNER, label, target, known.owner)
            return
        for item in self.others.named("TYPE", right.name):
            if not item.usable:
                yield MissingPrivilege(right.privilege, item.label, item.target, item.owner)

    def _object(self, right: Right) -> Lacking:
        """Yield what is missing on an object of a kind that the schema does not have."""
        kind = {"function": "ROUTINE"}.get(right.object_kind, right.object_kind.upper())
        for item in self.others.named(kind, right.name):
            if right.privilege != "DROP" or item.schema not in self.catalog.owned_schemas:
                yield MissingPrivilege(OWNER, item.label, item.target, item.grants_to)


ASKING: Mapping[str, Callable[[LackingRights, Schema, Right], Lacking]] = {
    "database": LackingRights._of_database,
    "extension": LackingRights._of_extension,
    "function": LackingRights._of_function,
    "relation": LackingRights._of_relation,
    "role": LackingRights._of_role,
    "schema": LackingRights._of_schema,
    "sequence": LackingRights._of_sequence,
    "type": LackingRights._of_type,
}
