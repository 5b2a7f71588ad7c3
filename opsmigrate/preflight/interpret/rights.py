"""What a statement needs, as the file of its command tells it; and why it may need more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from opsmigrate.preflight.interpret.commands import COMMANDS, RIGHTS
from opsmigrate.preflight.interpret.effects import Effects, Right
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.bodies import UNKNOWN, body_of, executed, statements_in
from opsmigrate.sql.grammar import scan
from opsmigrate.sql.placeholders import statements_of
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement, Token

# Where one block executes the text of another that executes the text of a third.
DEEPEST = 8
# What a statement in a block may begin with that has none of the block's variables in it.
STATEMENTS = frozenset({
    "ALTER", "CLUSTER", "COMMENT", "CREATE", "DO", "DROP", "GRANT", "LOCK", "REFRESH", "REINDEX",
    "REVOKE", "TRUNCATE",
})  # fmt: skip
# They write and read rows: of what they name, only the privileges on rows count.
OF_ROWS = frozenset({"select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"})
# What kinds of statements begin with that may put something, or another name, into a schema.
MAKING = ("alter_", "composite_", "create_", "define_", "index_", "rename_", "view_")
# What these make is in no schema, but its relation's.
OF_RELATIONS = frozenset({"alter_policy_stmt", "create_policy_stmt", "create_trig_stmt"})
STAND_IN = f'"{UNKNOWN}"'


class Within(Enum):
    """Where there may be more that a statement needs."""

    ROWS = "the rows of what its text names"
    NAMED = "whatever its text names"
    CODE = "whatever the code in it names, with rows alone"
    ANYTHING = "anything"


@dataclass(frozen=True)
class Doubt:
    """That a statement may need more: `why` ends a sentence.

    `makes` says that it may make something in a schema.
    """

    why: str
    within: Within
    text: str = ""
    makes: bool = False


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one statement needs of the schema `before` it; `effects` are those of no block."""

    statement: Statement | None
    before: Schema
    rights: tuple[Right, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    effects: Effects | None = None


def needs_of(schema: Schema, text: str) -> Iterator[tuple[Schema, Needs]]:
    """Yield what each statement of a text needs, with the schema after it.

    The text may have placeholders. What is not understood is taken to leave the schema as it was:
    what it makes is the role's own, and what is another's it can only change with a right on that.
    """
    try:
        statements = statements_of(text)
    except (NotParsedError, NoGrammarError) as error:
        doubt = Doubt(f"its text cannot be parsed: {error}", Within.ANYTHING)
        yield _as_if_known(schema), Needs(statement=None, before=schema, doubts=(doubt,))
        return
    for statement in statements:
        schema, needs = _needs(schema, statement, 0)
        yield schema, needs


def _needs(schema: Schema, statement: Statement, depth: int) -> tuple[Schema, Needs]:
    try:
        after, effects = interpret(schema, statement)
    # A rule that meets what it was not made for: then its text is asked.
    except Exception:
        after, effects = replace(schema, incomplete="a statement before it"), Effects()
        doubts: tuple[Doubt, ...] = (_doubt(statement, "it is not understood"),)
    else:
        doubts = tuple(_doubts(statement, effects))
    rights = tuple(dict.fromkeys(effects.rights))
    if statement.kind == "do_stmt":
        of_block = list(_of_block(schema, statement, depth))
        rights = tuple(dict.fromkeys(each for each in of_block if isinstance(each, Right)))
        doubts = tuple(dict.fromkeys(each for each in of_block if isinstance(each, Doubt)))
    found = Needs(statement=statement, before=schema, rights=rights, doubts=doubts, effects=effects)
    return _as_if_known(after), found


def _doubts(statement: Statement, effects: Effects) -> Iterator[Doubt]:
    kind, unknown = statement.kind, effects.unknown
    if kind not in COMMANDS and kind not in RIGHTS:
        words = kind.removesuffix("_stmt").replace("_", " ")
        why = f"which privileges this command needs is not known ({words})"
        yield Doubt(why, Within.ANYTHING)
    elif kind == "call_stmt":
        yield Doubt("what the code that it calls needs is not known", Within.ANYTHING)
    elif effects.refusal is not None:
        yield _doubt(statement, f"it was not expected to be taken ({effects.refusal.kind})")
    elif unknown is not None and not unknown.rights_told:
        temporary = any(each.privilege == "TEMPORARY" for each in effects.rights)
        doubt = _doubt(statement, unknown.why)
        yield replace(doubt, makes=doubt.makes and not temporary)


def _doubt(statement: Statement, why: str) -> Doubt:
    within = Within.ROWS if statement.kind in OF_ROWS else Within.NAMED
    makes = statement.kind.startswith(MAKING) and statement.kind not in OF_RELATIONS
    return Doubt(f"what it needs is not told ({why})", within, statement.text, makes)


def _as_if_known(schema: Schema) -> Schema:
    if not schema.tainted and schema.all_tainted is None:
        return schema
    why = schema.incomplete or schema.all_tainted or "a statement before it is not understood"
    return replace(schema, tainted=frozenset(), all_tainted=None, incomplete=why)


def _of_block(schema: Schema, statement: Statement, depth: int) -> Iterator[Right | Doubt]:
    """Yield what a DO block may need: what of it is a statement of its own, and what it names."""
    yield Doubt("the code may need privileges on it", Within.CODE, statement.text)
    body = body_of(statement)
    if body is None or body.text is None or body.language != "plpgsql" or depth >= DEEPEST:
        yield Doubt("what its code needs is not known", Within.ANYTHING)
        return
    try:
        tokens = scan(body.text)
        texts = [*statements_in(tokens, STATEMENTS), *executed(tokens)]
        yield from _of_texts(schema, texts, depth + 1)
    except (NotParsedError, NoGrammarError) as error:
        yield Doubt(f"its code cannot be read: {error}", Within.ANYTHING)
        return
    if _makes_more(texts, tokens):
        yield Doubt("what its code makes is not known", Within.ANYTHING)


def _of_texts(schema: Schema, texts: Iterable[str | None], depth: int) -> Iterator[Right | Doubt]:
    for text in texts:
        if text is None:
            yield Doubt("it EXECUTEs SQL that is not in its text", Within.ANYTHING)
            continue
        if STAND_IN in text:
            why = "it EXECUTEs SQL with a name that is not in its text"
            yield Doubt(why, Within.ANYTHING)
        for statement in statements_of(text):
            schema, found = _needs(schema, statement, depth)
            # Whether it comes to this is not known.
            yield from (replace(each, certain=False) for each in found.rights)
            yield from found.doubts


def _makes_more(texts: Iterable[str | None], tokens: Iterable[Token]) -> bool:
    """Return whether a block has a CREATE that is in none of the statements that were seen."""
    seen = sum(text.upper().split()[:1] == ["CREATE"] for text in texts if text)
    return seen < sum(token.kind == "CREATE" for token in tokens)
