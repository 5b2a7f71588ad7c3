"""OWNER TO, GRANT and REVOKE, row security, rules, replica identity, storage options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass, is_of_system
from opsmigrate.preflight.interpret.commands.objects import (
    IN_SCHEMA,
    KINDS,
    need_of_object,
    object_named,
)
from opsmigrate.preflight.interpret.commands.table_options import options_of
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, typed
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.named import (
    ROUTINES,
    require_no_rows,
    routine_named,
    type_named,
)
from opsmigrate.preflight.interpret.roles import PUBLIC, grantee_named, role_named
from opsmigrate.preflight.interpret.schema import Policy, Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import Thing, without_holder
from opsmigrate.sql.expressions import deparse
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.renamed import has_subquery

ALL = (PUBLIC,)
POLICY_COMMANDS = {"all": "*", "select": "r", "insert": "a", "update": "w", "delete": "d"}
# What the grammar calls them, and Policy.
CONDITIONS = {"qual": "using", "with_check": "check"}
# What Relation.row_security is, and what it becomes.
ENABLED = {"": "enabled", "enabled": "enabled", "forced": "forced", "idle": "forced"}
DISABLED = {"": "", "enabled": "", "forced": "idle", "idle": "idle"}
FORCED = {"": "idle", "enabled": "forced", "forced": "forced", "idle": "idle"}
NOT_FORCED = {"": "", "enabled": "enabled", "forced": "enabled", "idle": ""}
# Of these a change is no rewrite, and locks less (default_reloptions, reloptions.c).
LIGHT_OPTIONS = ("autovacuum_", "toast.", "log_autovacuum_", "vacuum_")
# Of views; a partitioned table has none.
GRANTED_RELATIONS = ("OBJECT_TABLE", "OBJECT_SEQUENCE")
OF_SEQUENCES = ("usage", "select", "update")
# What ALL … IN SCHEMA is, by relkind.
ALL_OF = {"OBJECT_TABLE": "rpvmf", "OBJECT_SEQUENCE": "S"}
OF_VIEWS = ("security_", "check_option")
SAYS_PARTITIONED = 160_000
LIGHT = frozenset({"fillfactor", "parallel_workers", "toast_tuple_target"})


def change_owner(step: Step, node: Any) -> None:
    """ALTER … OWNER TO, of what is no relation."""
    kind, owner = label(node, "object_type"), role_named(step, node.newowner)
    if kind in ROUTINES:
        found = routine_named(step, kind, node.object.object_with_args)
        own = step.schema.functions[found]
        if own.owner != owner:
            step.effects.need("OWNER", "function", (*found.name, *found.arguments))
            _need_of_new_owner(step, owner, found.name.schema)
        functions = {**step.schema.functions, found: replace(own, owner=owner)}
        step.schema = replace(step.schema, functions=functions)
    elif kind == "OBJECT_SCHEMA":
        name = as_stored(node.object.string.sval)
        if name not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=name)
        if step.schema.schemas[name] != owner:
            step.effects.need("OWNER", "schema", (name,))
            step.effects.need("CREATE", "database", ())
            _need_of_new_owner(step, owner)
        step.schema = replace(step.schema, schemas={**step.schema.schemas, name: owner})
    elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        _type_owner(step, type_named(step, kind, node.object.list.items), owner)
    else:
        need_of_object(step, kind, node.object)
        _need_of_new_owner(step, owner, _schema_of(step, kind, node.object))
        # Of others, the new owner needs more.
        told = kind in IN_SCHEMA
        raise UnknownError(f"OWNER TO of {kind}", Name("", ""), rights_told=told)


def _schema_of(step: Step, kind: str, node: Any) -> str | None:
    """Return the schema of an object that the schema of relations and types does not have."""
    if kind not in IN_SCHEMA:
        return None
    parts = object_named(IN_SCHEMA[kind], node)
    return step.schema.home(parts[-2] if len(parts) > 1 else None)


def _need_of_new_owner(step: Step, owner: str, schema: str | None = None) -> None:
    """Note that one has to be able to be the new owner, who may create in the schema.

    Only where it is another than before; that of a schema need not (AlterSchemaOwner_internal).
    """
    own = owner == step.schema.role
    if not own:
        step.effects.need("MEMBER", "role", (owner,))
    if schema is not None:
        step.effects.need_of("" if own else owner, "CREATE", "schema", (schema,))


def _type_owner(step: Step, name: Name, owner: str) -> None:
    own = step.schema.types.get(name)
    former = own or step.schema.relations[name]
    if former.owner != owner:
        step.effects.need("OWNER", "type", name)
        _need_of_new_owner(step, owner, name.schema)
    if own is not None:
        types = {**step.schema.types, name: replace(own, owner=owner)}
        step.schema = replace(step.schema, types=types)
        return
    require_no_rows(step, name)
    table = step.known(name)
    if former.owner != owner:
        step.effects.lock(name, ACCESS_EXCLUSIVE)
    step.put(replace(table, owner=owner))


def grant(step: Step, node: Any) -> None:
    """GRANT and REVOKE: who else may do something is no part of the schema."""
    kind, target = label(node, "objtype"), label(node, "targtype")
    tables = []
    if target == "ACL_TARGET_ALL_IN_SCHEMA":
        tables = _all_in_schemas(step, node, ALL_OF.get(kind, ""))
    elif kind in GRANTED_RELATIONS:
        tables = [relation_of(step, each.range_var) for each in node.objects]
    elif kind in ROUTINES:
        for each in node.objects:
            routine = routine_named(step, kind, each.object_with_args)
            _may_need_to_grant(step, "function", (*routine.name, *routine.arguments))
    else:
        _grant_on_others(step, kind, node.objects)
    for each in node.grantees:
        grantee_named(step, each.role_spec)
    for table in tables:
        _may_need_to_grant(step, "relation", table.name)
        _require_privileges(step, table, node)


def _grant_on_others(step: Step, kind: str, objects: Any) -> None:
    """Note who may grant something on what is neither a relation nor a routine."""
    for each in objects:
        if kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            _may_need_to_grant(step, "type", type_named(step, kind, each.list.items))
        elif kind in KINDS:
            need_of_object(step, kind, each, "GRANT")
        else:
            raise UnknownError(f"who may grant on {kind}", Name("", ""))


def _may_need_to_grant(step: Step, kind: str, name: tuple[str, ...]) -> None:
    """Note who may grant something: whoever has any privilege at all is only warned.

    As all have on functions and types (restrict_and_check_grant).
    """
    step.effects.may_need(Right(privilege="GRANT", object_kind=kind, name=tuple(name)))


def _all_in_schemas(step: Step, node: Any, kinds: str) -> list[Relation]:
    schemas = [as_stored(each.string.sval) for each in node.objects]
    for name in schemas:
        if name not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=name)
    every = step.schema.relations.values()
    for signature in step.schema.functions if not kinds else ():
        if signature.name.schema in schemas:
            _may_need_to_grant(step, "function", (*signature.name, *signature.arguments))
    return [each for each in every if each.name.schema in schemas and each.kind in kinds]


def _require_privileges(step: Step, table: Relation, node: Any) -> None:
    """Refuse a privilege that a table cannot be granted, and columns that it does not have."""
    of_sequence = label(node, "objtype") == "OBJECT_SEQUENCE"
    if table.kind == "c":
        step.refuse("42809", "wrong-kind", relation=table.name)
    for each in node.privileges:
        name = each.access_priv.priv_name
        if (name not in OF_SEQUENCES) if of_sequence else (name == "usage" and table.kind != "S"):
            step.refuse("0LP01", "no-such-privilege", relation=table.name)
        if of_sequence and table.kind != "S":
            step.refuse("42809", "wrong-kind", relation=table.name)
        for name in (as_stored(word.string.sval) for word in each.access_priv.cols):
            if table.kind == "S":
                raise UnknownError("the columns of a sequence", table.name)
            if name not in table.columns and not is_of_system(table, name):
                step.refuse("42703", "missing-column", relation=table.name, column=name)


def create_policy(step: Step, node: Any) -> None:
    """CREATE POLICY."""
    command = POLICY_COMMANDS[node.cmd_name]
    _require_conditions(step, command, node)
    name = as_stored(node.policy_name)
    roles = _roles(step, node)
    table = _table_of(step, node)
    policy = Policy(name=name, command=command, permissive=node.permissive, roles=roles or ALL)
    changed = _with_conditions(step, table, policy, node)
    if name in table.policies:
        step.refuse("42710", "name-taken", relation=table.name, name=name)
    step.put(changed)


def alter_policy(step: Step, node: Any) -> None:
    """ALTER POLICY."""
    name, roles = as_stored(node.policy_name), _roles(step, node)
    table = _table_of(step, node)
    # What is wrong in its conditions comes before that there is none of this name.
    former = table.policies.get(name, Policy(name=name, command="*"))
    changed = _with_conditions(step, table, replace(former, roles=roles or former.roles), node)
    if name not in table.policies:
        step.refuse("42704", "missing-policy", relation=table.name, name=name)
    _require_conditions(step, former.command, node)
    step.put(changed)


def _require_conditions(step: Step, command: str, node: Any) -> None:
    """Refuse a condition on rows that the command does not read, or does not write."""
    if (command == "a" and node.HasField("qual")) or (
        command in "rd" and node.HasField("with_check")
    ):
        step.refuse("42601", "no-such-policy", name=as_stored(node.policy_name))


def _roles(step: Step, node: Any) -> tuple[str, ...]:
    """Return the roles that a policy is for; PUBLIC is all, whoever else is named."""
    roles = tuple(grantee_named(step, each.role_spec) for each in node.roles)
    return ALL if PUBLIC in roles else roles


def _table_of(step: Step, node: Any) -> Relation:
    table = relation_of(step, node.table)
    if table.kind not in "rp":
        step.refuse("42809", "wrong-kind", relation=table.name)
    step.effects.lock(table.name, ACCESS_EXCLUSIVE)
    step.effects.need("OWNER", "relation", table.name)
    return table


def _with_conditions(step: Step, table: Relation, policy: Policy, node: Any) -> Relation:
    given = {to: getattr(node, each) for each, to in CONDITIONS.items() if node.HasField(each)}
    changes: dict[str, Any] = {to: deparse(each) for to, each in given.items()}
    policy = replace(policy, **changes)
    if given:
        if any(each is not None and has_subquery(each) for each in (policy.using, policy.check)):
            raise UnknownError("a policy with a subquery", table.name)
        for each in given.values():
            _require_condition(step, table, each)
        # What it rests on, its conditions say from now on.
        thing = Thing("policy", table.name, policy.name)
        step.schema = replace(
            step.schema, dependencies=without_holder(step.schema.dependencies, thing)
        )
    return replace(table, policies={**table.policies, policy.name: policy})


def _require_condition(step: Step, table: Relation, node: Any) -> None:
    try:
        shown = typed(Place(schema=step.schema, table=table, word="policy"), node).type
    except UnknownError:
        shown = "boolean"
        step.effects.unread = True
    if shown != "boolean":
        step.refuse("42804", "no-condition", relation=table.name)


def create_rule(step: Step, node: Any) -> None:
    """CREATE RULE: what it rests on is not followed, but it is there."""
    table = relation_of(step, node.relation)
    step.effects.need("OWNER", "relation", table.name)
    raise UnknownError("what a rule does", table.name, rights_told=True)


def _owner(altering: Altering, table: Name, command: Any) -> None:
    own, owner = altering.relation(table), role_named(altering.step, command.newowner)
    if own.kind == "c":
        altering.refuse("42809", "wrong-kind", table)
    if own.sequence is not None and own.sequence.owner is not None and owner != own.owner:
        altering.refuse("0A000", "owned-sequence", table)
    if own.owner != owner:
        _need_of_new_owner(altering.step, owner, table.schema)
    altering.later(Pass.MISCELLANEOUS, lambda: _owned(altering.step, table, owner))


def _owned(step: Step, table: Name, owner: str) -> None:
    own = step.known(table)
    if own.owner == owner:
        return
    step.put(replace(own, owner=owner))
    for each in list(step.schema.relations.values()):
        facts = each.sequence
        if facts is not None and facts.owner is not None and facts.owner[0] == table:
            step.effects.lock(each.name, ACCESS_EXCLUSIVE)
            step.put(replace(each, owner=owner))


def _row_security(becomes: Mapping[str, str]) -> Action:
    def prepare(altering: Altering, table: Name, command: Any) -> None:
        altering.allow(table, "rp")
        altering.later(Pass.MISCELLANEOUS, lambda: _secured(altering, table, becomes))

    return Action(prepare=prepare)


def _secured(altering: Altering, table: Name, becomes: Mapping[str, str]) -> None:
    own = altering.relation(table)
    altering.step.put(replace(own, row_security=becomes[own.row_security]))


def _replica_identity(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpm")
    identity = getattr(command, "def").replica_identity_stmt
    altering.later(Pass.MISCELLANEOUS, lambda: _identified(altering, table, identity))


def _identified(altering: Altering, table: Name, identity: Any) -> None:
    own = altering.relation(table)
    name = as_stored(identity.name) if identity.identity_type == "i" else None
    if name is not None:
        _fits(altering, own, name)
    indexes = {
        key: replace(each, replica_identity=key == name) for key, each in own.indexes.items()
    }
    altering.step.put(replace(own, replica_identity=identity.identity_type, indexes=indexes))


def _fits(altering: Altering, own: Relation, name: str) -> None:
    index = own.indexes.get(name)
    if index is None:
        if altering.step.schema.is_taken(Name(own.name.schema, name)):
            altering.refuse("42809", "index-of-another-table", own.name, name=name)
        altering.refuse("42704", "missing-index", own.name, name=name)
    # That of a partitioned table becomes valid with those of the partitions.
    if not (index.unique and (index.valid or own.kind == "p")):
        altering.refuse("42809", "no-replica-identity", own.name, name=name)
    for wrong, kind in (
        (not index.immediate, "deferrable-index"),
        (any(key.column is None for key in index.keys), "index-with-expression"),
        (index.predicate is not None, "partial-index"),
    ):
        if wrong:
            altering.refuse("0A000", kind, own.name, name=name)
    for key in index.keys:
        if key.column is not None and not own.columns[key.column].not_null:
            altering.refuse("42809", "nullable", own.name, column=key.column)


def _options_mode(command: Any) -> str:
    names = [_option_name(each.def_elem) for each in getattr(command, "def").list.items]
    light = all(name in LIGHT or name.startswith(LIGHT_OPTIONS) for name in names)
    return SHARE_UPDATE_EXCLUSIVE if light else ACCESS_EXCLUSIVE


def _option_name(option: Any) -> str:
    space = f"{option.defnamespace}." if option.defnamespace else ""
    return f"{space}{option.defname}"


def _options(altering: Altering, table: Name, command: Any) -> None:
    own = altering.allow(table, "rmpv")
    resets = label(command, "subtype") == "AT_ResetRelOptions"
    given = getattr(command, "def").list.items
    if own.kind in "pv" and any(not each.def_elem.defname.startswith(OF_VIEWS) for each in given):
        if resets:
            return
        said = own.kind == "p" and altering.step.schema.version >= SAYS_PARTITIONED
        altering.refuse("42809" if said else "22023", "no-such-option", table)
    names = {each.def_elem.defname for each in given}
    kept = {each for each in own.options if each.partition("=")[0] not in names}
    changed = frozenset(kept if resets else kept | options_of(altering.step, given))
    altering.later(
        Pass.MISCELLANEOUS,
        lambda: altering.step.put(replace(altering.relation(table), options=changed)),
    )


ACTIONS: Mapping[str, Action] = {
    "AT_ChangeOwner": Action(prepare=_owner),
    "AT_EnableRowSecurity": _row_security(ENABLED),
    "AT_DisableRowSecurity": _row_security(DISABLED),
    "AT_ForceRowSecurity": _row_security(FORCED),
    "AT_NoForceRowSecurity": _row_security(NOT_FORCED),
    "AT_ReplicaIdentity": Action(prepare=_replica_identity),
    "AT_SetRelOptions": Action(prepare=_options, lock=_options_mode),
    "AT_ResetRelOptions": Action(prepare=_options, lock=_options_mode),
}
COMMANDS: Mapping[str, Command] = {
    "alter_owner_stmt": change_owner,
    "grant_stmt": grant,
    "create_policy_stmt": create_policy,
    "alter_policy_stmt": alter_policy,
    "rule_stmt": create_rule,
}
