"""What a statement would do beyond its database, read from PostgreSQL's own grammar."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from opsmigrate.preflight.rehearsal.outward_bodies import beyond_in_body, called
from opsmigrate.preflight.rehearsal.outward_names import (
    SQL_TEXT,
    is_catalog,
    is_outward,
    is_outward_extension,
    is_shared_catalog,
)
from opsmigrate.sql.bodies import Body, body_of, executed
from opsmigrate.sql.grammar import parse, scan
from opsmigrate.sql.statement import Node, NoGrammarError, NotParsedError, Statement

# Where one statement executes the text of another that executes the text of a third.
DEEPEST = 8
# Objects of the whole server (PostgreSQL documentation, pg_class.relisshared).
SHARED_OBJECTS = (
    "OBJECT_DATABASE",
    "OBJECT_PARAMETER_ACL",
    "OBJECT_ROLE",
    "OBJECT_SUBSCRIPTION",
    "OBJECT_TABLESPACE",
)
OUTSIDE_OBJECTS = ("OBJECT_FDW", "OBJECT_FOREIGN_SERVER")
READABLE = ("plpgsql", "sql")
# Whose functions cannot reach the files of the server, whatever their body says.
TRUSTED = (*READABLE, "plperl", "pltcl", "plv8", "plls", "plcoffee", "pllua", "pljava")
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
CALLERS = ("CreateCastStmt", "CreateEventTrigStmt", "CreateOpClassStmt", "DefineStmt")


@dataclass(frozen=True)
class Beyond:
    """Why a statement may not run on a copy.

    `unseen`: nothing says that it reaches beyond its database, and nothing that it does not.
    `created` is the function that it would make and not call.
    """

    why: str
    unseen: bool = False
    created: str | None = None


@dataclass(frozen=True)
class Bounds:
    """What is inside: `database` is the copy, whose own settings may change.

    `files`: the role may read and write files of the server, and start programs there; to others
    the server refuses that, as in the real run. `isolated`: nothing but the copy is on the server.
    """

    database: str
    files: bool
    isolated: bool

    @property
    def unseen_may_run(self) -> bool:
        """Say whether what nothing shows may run: the server is ours, and so is all it can reach.

        Who may start programs there could reach this machine.
        """
        return self.isolated and not self.files


def beyond(text: str, bounds: Bounds) -> tuple[Beyond, ...]:
    """Return why a text of one or more statements may not run; nothing where it may.

    What cannot be seen may run on an isolated server, for a role that cannot leave that.
    """
    found = _in_text(text, bounds, 0)
    return tuple(each for each in found if not (each.unseen and bounds.unseen_may_run))


def leads_outside(language: str, text: str, parsed: str | None, bounds: Bounds) -> bool:
    """Say whether a function that is there may not run; see beyond().

    `text` is its body, and `parsed` the one that the server keeps as a tree, with BEGIN ATOMIC.
    """
    if language == "internal":
        return is_outward(text)
    if parsed is not None:
        return beyond(f"CREATE OR REPLACE FUNCTION f() RETURNS int {parsed}", bounds) != ()
    found = _in_body(Body(language, text), bounds, 0)
    return any(not (each.unseen and bounds.unseen_may_run) for each in found)


def _in_text(text: str, bounds: Bounds, depth: int) -> Iterator[Beyond]:
    try:
        statements = parse(text)
    except NotParsedError as error:
        yield Beyond(f"SQL that cannot be parsed: {error}", unseen=True)
        return
    except NoGrammarError as error:
        yield Beyond(str(error), unseen=True)
        return
    for statement in statements:
        yield from _in_statement(statement, bounds, depth)


def _in_statement(statement: Statement, bounds: Bounds, depth: int) -> Iterator[Beyond]:
    body = body_of(statement)
    if body is not None:
        created = _created(statement)
        for found in _in_body(body, bounds, depth):
            yield Beyond(found.why, found.unseen, created)
    for part in statement.parts():
        why = _why(part, bounds)
        if why:
            yield Beyond(why)
        yield from _in_call(part, bounds, depth)


def _created(statement: Statement) -> str | None:
    # One that is replaced may be called already: by a trigger, a default.
    if statement.kind != "create_function_stmt" or statement.node.replace:
        return None
    return str(statement.node.funcname[-1].string.sval)


def _in_body(body: Body, bounds: Bounds, depth: int) -> Iterator[Beyond]:
    if body.text is None:  # BEGIN ATOMIC … END: it is a part of the statement
        return
    if body.language not in TRUSTED:
        yield Beyond(f"code in {body.language}")
    elif body.language not in READABLE or depth >= DEEPEST:
        yield Beyond(f"code in {body.language}, which is not looked into", unseen=True)
    elif body.language == "sql":
        yield from _in_text(body.text, bounds, depth + 1)
    else:
        yield from _in_block(body.text, bounds, depth)


def _in_block(text: str, bounds: Bounds, depth: int) -> Iterator[Beyond]:
    try:
        tokens = scan(text)
        texts = list(executed(tokens))
    except (NotParsedError, NoGrammarError) as error:
        yield Beyond(f"a body that cannot be read: {error}", unseen=True)
        return
    for why in beyond_in_body(tokens, files=bounds.files, database=bounds.database):
        yield Beyond(why)
    for name in called(tokens) & SQL_TEXT:
        yield Beyond(f"{name}(), which executes SQL", unseen=True)
    for each in texts:
        if each is None:
            yield Beyond("EXECUTE of SQL that no text shows", unseen=True)
        else:
            yield from _in_text(each, bounds, depth + 1)


def _in_call(part: Node, bounds: Bounds, depth: int) -> Iterator[Beyond]:
    if part.kind != "FuncCall" or _names(part.value.funcname)[-1] not in SQL_TEXT:
        return
    first = part.value.args[0] if part.value.args else None
    if first is not None and first.a_const.WhichOneof("val") == "sval" and depth < DEEPEST:
        yield from _in_text(first.a_const.sval.sval, bounds, depth + 1)
    else:
        yield Beyond("a function that executes SQL that no text shows", unseen=True)


def _why(part: Node, bounds: Bounds) -> str | None:
    if part.kind in ALWAYS:
        return ALWAYS[part.kind]
    if part.kind in TARGETS:
        return _changed(part, bounds)
    rule = RULES.get(part.kind)
    return rule(part.value, bounds) if rule else None


def _changed(part: Node, bounds: Bounds) -> str | None:
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


def _is_theirs(relation: Any, bounds: Bounds) -> bool:
    """Say whether a catalog belongs to the whole server; on a shared one, any: it may crash."""
    theirs = is_shared_catalog if bounds.isolated else is_catalog
    return theirs(relation.schemaname, relation.relname)


def _reindex(node: Any) -> str | None:
    kind = _label(node, "kind")
    return "REINDEX of shared catalogs" if kind.endswith(("_SYSTEM", "_DATABASE")) else None


def _call(node: Any, bounds: Bounds) -> str | None:
    name = _names(node.funcname)[-1]
    if is_outward(name):
        return f"{name}()"
    if name == "set_config" and node.args and _text(node.args[0]) == "session_authorization":
        return "SET SESSION AUTHORIZATION"
    return None


def _select(node: Any, bounds: Bounds) -> str | None:
    if not node.locking_clause:
        return None
    for each in node.from_clause:
        if each.HasField("range_var") and _is_theirs(each.range_var, bounds):
            return f"a lock of rows of {each.range_var.relname}"
    return None


def _copy(node: Any, bounds: Bounds) -> str | None:
    if bounds.files and node.is_program:
        return "COPY … PROGRAM"
    if bounds.files and node.filename:
        return "COPY with a file of the server"
    if node.is_from and _is_theirs(node.relation, bounds):
        return f"a change of {node.relation.relname}"
    return None


def _own_database(node: Any, bounds: Bounds) -> str | None:
    return None if node.dbname == bounds.database else "ALTER DATABASE"


def _object(field: str, verb: str) -> Callable[[Any, Bounds], str | None]:
    def rule(node: Any, bounds: Bounds) -> str | None:
        label = _label(node, field)
        if label not in (*SHARED_OBJECTS, *OUTSIDE_OBJECTS):
            return None
        named = getattr(node, "object", None)
        own = named is not None and _text(named) == bounds.database
        if own and label == "OBJECT_DATABASE":
            return None
        return f"{verb} {label.removeprefix('OBJECT_').replace('_', ' ')}"

    return rule


def _grant(node: Any, bounds: Bounds) -> str | None:
    names = [_text(each) for each in node.objects]
    if _label(node, "objtype") == "OBJECT_DATABASE" and set(names) == {bounds.database}:
        return None
    return _object("objtype", "GRANT or REVOKE on a")(node, bounds)


def _extension(node: Any, bounds: Bounds) -> str | None:
    return f"the extension {node.extname}" if is_outward_extension(node.extname) else None


def _set(node: Any, bounds: Bounds) -> str | None:
    authorised = node.name == "session_authorization" and _label(node, "kind") == "VAR_SET_VALUE"
    return "SET SESSION AUTHORIZATION" if authorised else None


def _transaction(node: Any, bounds: Bounds) -> str | None:
    # It would outlive the copy, which then could not be dropped.
    prepares = _label(node, "kind") == "TRANS_STMT_PREPARE"
    return "PREPARE TRANSACTION" if prepares else None


def _caller(node: Any, bounds: Bounds) -> str | None:
    outward = [name for name in _all_names(node) if is_outward(name)]
    return f"a use of {outward[0]}" if outward else None


RULES: dict[str, Callable[[Any, Bounds], str | None]] = {
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
    "RenameStmt": _object("rename_type", "RENAME of a"),
    "SecLabelStmt": _object("objtype", "SECURITY LABEL ON"),
    "SelectStmt": _select,
    "TransactionStmt": _transaction,
    "VariableSetStmt": _set,
    **dict.fromkeys(CALLERS, _caller),
}


def _label(node: Any, field: str) -> str:
    descriptor = node.DESCRIPTOR.fields_by_name[field]
    return str(descriptor.enum_type.values_by_number[getattr(node, field)].name)


def _names(nodes: Iterable[Any]) -> list[str]:
    return [str(each.string.sval) for each in nodes] or [""]


def _text(node: Any) -> str | None:
    if node.WhichOneof("node") == "string":
        return str(node.string.sval)
    return str(node.a_const.sval.sval) if node.a_const.WhichOneof("val") == "sval" else None


def _all_names(node: Any) -> Iterator[str]:
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for each in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _all_names(each)
        elif node.DESCRIPTOR.name == "String":
            yield value
