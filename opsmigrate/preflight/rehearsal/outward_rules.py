"""What one node of a statement does beyond its database: a rule for each type of node."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsmigrate.preflight.rehearsal.outward_names import (
    SETTINGS,
    is_catalog,
    is_outward,
    is_outward_extension,
    is_shared_catalog,
)
from opsmigrate.preflight.rehearsal.row_locks import locked_relations
from opsmigrate.sql import nodes
from opsmigrate.sql.statement import Node

# Objects of the whole server (PostgreSQL documentation, pg_class.relisshared).
SHARED_OBJECTS = (
    "OBJECT_DATABASE",
    "OBJECT_PARAMETER_ACL",
    "OBJECT_ROLE",
    "OBJECT_SUBSCRIPTION",
    "OBJECT_TABLESPACE",
)
OUTSIDE_OBJECTS = ("OBJECT_FDW", "OBJECT_FOREIGN_SERVER")
# Type of a node -> what it does to the rest of the server.
ALWAYS = {
    "AlterRoleSetStmt": "ALTER ROLE",
    "AlterRoleStmt": "ALTER ROLE",
    "AlterSubscriptionStmt": "ALTER SUBSCRIPTION",
    "AlterSystemStmt": "ALTER SYSTEM",
    "AlterTableSpaceOptionsStmt": "ALTER TABLESPACE",
    "AlterFdwStmt": "ALTER FOREIGN DATA WRAPPER",
    "AlterForeignServerStmt": "ALTER SERVER",
    "AlterUserMappingStmt": "ALTER USER MAPPING",
    "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER",
    "CreateForeignServerStmt": "CREATE SERVER",
    "CreatePLangStmt": "CREATE LANGUAGE",
    "CreateRoleStmt": "CREATE ROLE",
    "CreateSubscriptionStmt": "CREATE SUBSCRIPTION",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "CreateUserMappingStmt": "CREATE USER MAPPING",
    "CreatedbStmt": "CREATE DATABASE",
    "DropOwnedStmt": "DROP OWNED",
    "DropRoleStmt": "DROP ROLE",
    "DropSubscriptionStmt": "DROP SUBSCRIPTION",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "DropdbStmt": "DROP DATABASE",
    "GrantRoleStmt": "GRANT or REVOKE of a role",
    "ImportForeignSchemaStmt": "IMPORT FOREIGN SCHEMA",
    "LoadStmt": "LOAD",
    "ReassignOwnedStmt": "REASSIGN OWNED",
}
# Type of a node -> the fields with the relations that it changes or locks.
TARGETS = {
    "AlterTableStmt": ("relation",),
    "ClusterStmt": ("relation",),
    "CreateTrigStmt": ("relation",),
    "DeleteStmt": ("relation",),
    "IndexStmt": ("relation",),
    "InsertStmt": ("relation",),
    "LockStmt": ("relations",),
    "MergeStmt": ("relation",),
    "ReindexStmt": ("relation",),
    "RuleStmt": ("relation",),
    "TruncateStmt": ("relations",),
    "UpdateStmt": ("relation",),
    "VacuumStmt": ("rels",),
}
# Statements that let a function be called by others.
CALLERS = (
    "CreateCastStmt",
    "CreateEventTrigStmt",
    "CreateOpClassStmt",
    "CreateTrigStmt",
    "DefineStmt",
    "RenameStmt",
)


@dataclass(frozen=True)
class FenceBounds:
    """What is inside: `database` is the copy, whose own settings may change.

    `files`: the role may read and write files of the server, and start programs there; to others
    the server refuses that, as in the real run. `isolated`: nothing but the copy is on the server.
    """

    database: str
    files: bool
    isolated: bool

    @property
    def unseen_may_run(self) -> bool:
        """Return whether SQL that cannot be known may run: on a temporary embedded server.

        Who may start programs there could reach this machine.
        """
        return self.isolated and not self.files


def why_beyond(part: Node, bounds: FenceBounds) -> str | None:
    """Return what a node of a statement does beyond its database, None where it does nothing."""
    if part.kind in ALWAYS:
        return ALWAYS[part.kind]
    if part.kind in TARGETS:
        return _changed(part, bounds)
    rule = RULES.get(part.kind)
    return rule(part.value, bounds) if rule else None


def _changed(part: Node, bounds: FenceBounds) -> str | None:
    for field in TARGETS[part.kind]:
        value = getattr(part.value, field)
        many = [value] if hasattr(value, "DESCRIPTOR") else value
        for each in many:
            vacuumed = hasattr(each, "vacuum_relation") and each.HasField("vacuum_relation")
            relation = each.vacuum_relation.relation if vacuumed else each
            relation = getattr(relation, "range_var", relation)
            if _is_theirs(relation, bounds):
                return f"a change or a lock of {relation.relname}"
    return _reindex(part.value) if part.kind == "ReindexStmt" else None


def _is_theirs(relation: Any, bounds: FenceBounds) -> bool:
    """Return whether a catalog belongs to the whole server; on a shared one, any: it may crash."""
    is_others = is_shared_catalog if bounds.isolated else is_catalog
    return is_others(relation.schemaname, relation.relname)


def _reindex(node: Any) -> str | None:
    kind = nodes.label(node, "kind")
    return "REINDEX of shared catalogs" if kind.endswith(("_SYSTEM", "_DATABASE")) else None


def _call(node: Any, bounds: FenceBounds) -> str | None:
    name = nodes.names(node.funcname)[-1]
    if is_outward(name):
        return f"{name}()"
    if name == "set_config" and node.args:
        setting = nodes.text(node.args[0])
        if setting is not None and setting.lower() in SETTINGS:
            return f"a change of {setting}"
    return None


def _select(node: Any, bounds: FenceBounds) -> str | None:
    for relation in locked_relations(node):
        # Through a view, the rows of what it reads are locked.
        is_view = not bounds.isolated and relation.schemaname == "information_schema"
        if is_view or _is_theirs(relation, bounds):
            return f"a lock of rows of {relation.relname}"
    return None


def _copy(node: Any, bounds: FenceBounds) -> str | None:
    if bounds.files and node.is_program:
        return "COPY … PROGRAM"
    if bounds.files and node.filename:
        return "COPY with a file of the server"
    if node.is_from and _is_theirs(node.relation, bounds):
        return f"a change of {node.relation.relname}"
    return None


def _own_database(node: Any, bounds: FenceBounds) -> str | None:
    return None if node.dbname == bounds.database else "ALTER DATABASE"


def _object(field: str, verb: str) -> Callable[[Any, FenceBounds], str | None]:
    def rule(node: Any, bounds: FenceBounds) -> str | None:
        label = nodes.label(node, field)
        if label not in (*SHARED_OBJECTS, *OUTSIDE_OBJECTS):
            return None
        named = getattr(node, "object", None)
        own = named is not None and nodes.text(named) == bounds.database
        if own and label == "OBJECT_DATABASE":
            return None
        return f"{verb} {label.removeprefix('OBJECT_').replace('_', ' ')}"

    return rule


def _grant(node: Any, bounds: FenceBounds) -> str | None:
    names = [nodes.text(each) for each in node.objects]
    if nodes.label(node, "objtype") == "OBJECT_DATABASE" and set(names) == {bounds.database}:
        return None
    return _object("objtype", "GRANT or REVOKE on a")(node, bounds)


def _extension(node: Any, bounds: FenceBounds) -> str | None:
    return f"the extension {node.extname}" if is_outward_extension(node.extname) else None


def _set(node: Any, bounds: FenceBounds) -> str | None:
    sets = nodes.label(node, "kind") in ("VAR_SET_VALUE", "VAR_SET_CURRENT")
    return f"SET {node.name}" if sets and node.name.lower() in SETTINGS else None


def _transaction(node: Any, bounds: FenceBounds) -> str | None:
    # It would outlive the copy, which then could not be dropped.
    prepares = nodes.label(node, "kind") == "TRANS_STMT_PREPARE"
    return "PREPARE TRANSACTION" if prepares else None


def _caller(node: Any, bounds: FenceBounds) -> str | None:
    outward = [name for name in nodes.all_names(node) if is_outward(name)]
    return f"a use of {outward[0]}" if outward else None


def _rename(node: Any, bounds: FenceBounds) -> str | None:
    return _object("rename_type", "RENAME of a")(node, bounds) or _caller(node, bounds)


RULES: dict[str, Callable[[Any, FenceBounds], str | None]] = {
    "AlterDatabaseRefreshCollStmt": _own_database,
    "AlterDatabaseSetStmt": _own_database,
    "AlterDatabaseStmt": _own_database,
    "AlterOwnerStmt": _object("object_type", "ALTER OWNER of a"),
    "CommentStmt": _object("objtype", "COMMENT ON"),
    "CopyStmt": _copy,
    "CreateExtensionStmt": _extension,
    "DropStmt": _object("remove_type", "DROP"),
    "FuncCall": _call,
    "GrantStmt": _grant,
    "SecLabelStmt": _object("objtype", "SECURITY LABEL ON"),
    "SelectStmt": _select,
    "TransactionStmt": _transaction,
    "VariableSetStmt": _set,
    **dict.fromkeys(CALLERS, _caller),
    "RenameStmt": _rename,
}
