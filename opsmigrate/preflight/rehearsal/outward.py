"""What a statement would do beyond its database, read from PostgreSQL's own grammar."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from opsmigrate.preflight.rehearsal.outward_bodies import beyond_in_body, called, changed_settings
from opsmigrate.preflight.rehearsal.outward_format import makes_format
from opsmigrate.preflight.rehearsal.outward_names import (
    SETTINGS,
    SQL_TEXT,
    SQL_TEXTS,
    is_catalog,
    is_outward,
    is_outward_extension,
    is_shared_catalog,
)
from opsmigrate.preflight.rehearsal.row_locks import locked_relations
from opsmigrate.sql import nodes
from opsmigrate.sql.bodies import UNKNOWN, Body, body_of, executed, statements_in
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
# Those that write the rows of a catalog for a superuser, or let nobody else do so.
WRITING = {
    "CopyStmt": "relation",
    "DeleteStmt": "relation",
    "InsertStmt": "relation",
    "LockStmt": "relations",
    "MergeStmt": "relation",
    "UpdateStmt": "relation",
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
class Beyond:
    """Why a statement may not run on a copy.

    `unseen`: nothing says that it reaches beyond its database, and nothing that it does not.
    `created` is the function that it would make and not call.
    """

    why: str
    unseen: bool = False
    created: str | None = None


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


def beyond(text: str, bounds: FenceBounds) -> tuple[Beyond, ...]:
    """Return why a text of one or more statements may not run; nothing where it may.

    What cannot be seen may run on an isolated server, for a role that cannot leave that.
    """
    found = _in_text(text, bounds, 0)
    return tuple(each for each in found if not (each.unseen and bounds.unseen_may_run))


def leads_outside(language: str, text: str, parsed: str | None, bounds: FenceBounds) -> bool:
    """Return whether a function that is there may not run; see beyond().

    `text` is its body, and `parsed` the one that the server keeps as a tree, with BEGIN ATOMIC.
    """
    if language == "internal":
        return is_outward(text)
    if parsed is not None:
        return beyond(f"CREATE OR REPLACE FUNCTION f() RETURNS int {parsed}", bounds) != ()
    found = _in_body(Body(language, text), bounds, 0)
    return any(not (each.unseen and bounds.unseen_may_run) for each in found)


def _in_text(text: str, bounds: FenceBounds, depth: int) -> Iterator[Beyond]:
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


def _in_statement(statement: Statement, bounds: FenceBounds, depth: int) -> Iterator[Beyond]:
    body = body_of(statement)
    if body is not None:
        created = _created(statement)
        for found in _in_body(body, bounds, depth):
            yield Beyond(found.why, found.unseen, created)
    for part in statement.parts():
        why = _why(part, bounds)
        if why:
            yield Beyond(why)
        elif _is_unnamed(part, bounds):
            yield Beyond("a name that is not in the text", unseen=True)
        elif makes_format(part):
            yield Beyond("a function called format, by which EXECUTE is read", unseen=True)
        yield from _in_call(part, bounds, depth)
    if bounds.files and not bounds.isolated and statement.kind == "view_stmt":
        yield from _in_view(statement)


def _in_view(statement: Statement) -> Iterator[Beyond]:
    """Yield a view of a catalog, through which that could be changed under another name."""
    for part in statement.parts():
        name = part.value.relname if part.kind == "RangeVar" else ""
        if name == "pg_proc" or (name and is_shared_catalog(part.value.schemaname, name)):
            yield Beyond(f"a view of {name}", created=statement.node.view.relname)


def _is_unnamed(part: Node, bounds: FenceBounds) -> bool:
    """Return whether what is called, or changed, has a name that format() puts in."""
    if part.kind == "FuncCall":
        name, args = nodes.names(part.value.funcname)[-1], part.value.args
        sets = name == "set_config" and args and nodes.text(args[0]) in (None, UNKNOWN)
        return name == UNKNOWN or bool(sets)
    if part.kind == "VariableSetStmt":
        return bool(part.value.name == UNKNOWN)
    if part.kind in WRITING:
        # Only who may write catalogs can change them.
        value = getattr(part.value, WRITING[part.kind])
        named = [value] if hasattr(value, "DESCRIPTOR") else [each.range_var for each in value]
        unnamed = any(UNKNOWN in (each.relname, each.schemaname) for each in named)
        return bounds.files and not bounds.isolated and unnamed
    return part.kind in CALLERS and UNKNOWN in nodes.all_names(part.value)


def _created(statement: Statement) -> str | None:
    # One that is replaced may be called already: by a trigger, a default.
    if statement.kind != "create_function_stmt" or statement.node.replace:
        return None
    return str(statement.node.funcname[-1].string.sval)


def _in_body(body: Body, bounds: FenceBounds, depth: int) -> Iterator[Beyond]:
    if body.text is None:  # BEGIN ATOMIC … END: it is a part of the statement
        return
    if body.language not in TRUSTED:
        yield Beyond(f"code in {body.language}")
    elif body.language not in READABLE or depth >= DEEPEST:
        yield Beyond(f"code in {body.language}, which is not parsed", unseen=True)
    elif body.language == "sql":
        yield from _in_text(body.text, bounds, depth + 1)
    else:
        yield from _in_block(body.text, bounds, depth)


def _in_block(text: str, bounds: FenceBounds, depth: int) -> Iterator[Beyond]:
    try:
        tokens = scan(text)
        texts = list(executed(tokens))
    except (NotParsedError, NoGrammarError) as error:
        yield Beyond(f"a body that cannot be read: {error}", unseen=True)
        return
    for why in beyond_in_body(tokens, files=bounds.files, database=bounds.database):
        yield Beyond(why)
    names = called(tokens)
    for name in names & SQL_TEXT:
        yield Beyond(f"{name}(), which executes SQL", unseen=True)
    if UNKNOWN in names or None in changed_settings(tokens):
        yield Beyond("a name that is not in the text", unseen=True)
    for statement in statements_in(tokens):
        for found in _in_text(statement, bounds, depth + 1):
            # What it makes may be used by the same body, and so may not be made.
            yield Beyond(found.why, found.unseen)
    for each in texts:
        if each is None:
            yield Beyond("EXECUTE of SQL that is not in the text", unseen=True)
        else:
            yield from _in_text(each, bounds, depth + 1)


def _in_call(part: Node, bounds: FenceBounds, depth: int) -> Iterator[Beyond]:
    if part.kind != "FuncCall" or nodes.names(part.value.funcname)[-1] not in SQL_TEXT:
        return
    texts = [nodes.text(each) for each in part.value.args]
    read = SQL_TEXTS.get(nodes.names(part.value.funcname)[-1], 0)
    if depth >= DEEPEST or not read or not texts or None in texts[:read]:
        yield Beyond("a function that executes SQL that is not in the text", unseen=True)
        return
    for text in texts[:read]:
        yield from _in_text(str(text), bounds, depth + 1)


def _why(part: Node, bounds: FenceBounds) -> str | None:
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
