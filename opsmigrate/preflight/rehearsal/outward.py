"""What a statement would do beyond its database, read from PostgreSQL's own grammar."""

from collections.abc import Iterator
from dataclasses import dataclass

from opsmigrate.preflight.rehearsal.outward_bodies import beyond_in_body, called, changed_settings
from opsmigrate.preflight.rehearsal.outward_format import makes_format
from opsmigrate.preflight.rehearsal.outward_names import (
    SQL_TEXT,
    SQL_TEXTS,
    is_outward,
    is_shared_catalog,
)
from opsmigrate.preflight.rehearsal.outward_rules import CALLERS, FenceBounds, why_beyond
from opsmigrate.sql import nodes
from opsmigrate.sql.bodies import UNKNOWN, Body, body_of, executed, statements_in
from opsmigrate.sql.grammar import parse, scan
from opsmigrate.sql.statement import Node, NoGrammarError, NotParsedError, Statement

# Where one statement executes the text of another that executes the text of a third.
DEEPEST = 8
READABLE = ("plpgsql", "sql")
# Whose functions cannot reach the files of the server, whatever their body says.
TRUSTED = (*READABLE, "plperl", "pltcl", "plv8", "plls", "plcoffee", "pllua", "pljava")
# Those that write the rows of a catalog for a superuser, or let nobody else do so.
WRITING = {
    "CopyStmt": "relation",
    "DeleteStmt": "relation",
    "InsertStmt": "relation",
    "LockStmt": "relations",
    "MergeStmt": "relation",
    "UpdateStmt": "relation",
}


@dataclass(frozen=True)
class Beyond:
    """Why a statement may not run on a copy.

    `unseen`: nothing says that it reaches beyond its database, and nothing that it does not.
    `created` is the function that it would make and not call.
    """

    why: str
    unseen: bool = False
    created: str | None = None


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
        why = why_beyond(part, bounds)
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
