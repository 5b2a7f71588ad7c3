"""SQL that people wrote into migrations: interpreted, and asked about as Django's own is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import shorten

from django.db.backends.postgresql.psycopg_any import is_psycopg3

from opsmigrate.preflight.interpret.effects import Question, Refusal
from opsmigrate.preflight.interpret.schema import Column, Relation
from opsmigrate.preflight.walk.adopted import adopt
from opsmigrate.preflight.walk.code_of_others import (
    WHY,
    calls_others,
    is_trusted,
    runs_code,
)
from opsmigrate.preflight.walk.constant_parts import computes_what_fails
from opsmigrate.preflight.walk.default_values import (
    added_at_once,
    calls_only,
    expression_fits,
)
from opsmigrate.preflight.walk.dependents import warn_of_cascade
from opsmigrate.preflight.walk.expressions import require_no_failure
from opsmigrate.preflight.walk.harmless_settings import is_harmless, settings_of
from opsmigrate.preflight.walk.index_rows import require_rows_fit
from opsmigrate.preflight.walk.inserted_rows import INSERT, require_insertable
from opsmigrate.preflight.walk.interpretation import (
    AFTER_REFUSAL,
    Interpreted,
    Understood,
    interpreted,
)
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.probes import (
    Probe,
    duplicates,
    nulls,
    orphans,
    violations,
)
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.waiting_triggers import doubt_if_triggers_wait
from opsmigrate.preflight.walk.written_rows import (
    DELETE,
    UPDATE,
    is_decidable,
    write_rows,
)
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.sql.grammar import parse, scan
from opsmigrate.sql.names import Name
from opsmigrate.sql.plain_blocks import LANGUAGE
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement
from opsmigrate.sql.transactions import stands_alone
from opsmigrate.sql.types import user_type

SHOWN = 100
# What the walk asks the live server about, which has not what the plan makes.
SERVER_IS_ASKED = ("types", "functions", "extensions", "collations", "schemas", "search_path")
ORDINARY = frozenset("rvmS")
# What they change is in no fact of the schema: what a function does, and what a view lets through.
OF_BODIES = frozenset({"create_function_stmt", "alter_function_stmt", "view_stmt"})
FIRING = ("triggers", "rules", "policies", "row_security")
CAST, DEFAULT = "cast", "default"
OF_FORMER_VALUES = (CAST,)
COMPUTED = (CAST, "expression")
# pg_proc.provolatile.
STEADY = "is"
NEW_VALUE = "alter_enum_stmt"
PARAMETER = "PARAM"
NEXT = "nextval("
MAY_USE = "SELECT has_language_privilege(oid, 'USAGE') FROM pg_language WHERE lanname = %s"
COPIES = "the migration executes COPY without a file, which raises ProgrammingError in the driver"
COPIES_BY_METHOD = "write INSERT, or let RunPython call the driver's own method for it"
IN_TRANSACTION = Refusal(sqlstate="25001", kind="in-a-transaction")


def understands(walk: SchemaWalk, text: str, *, atomic: bool) -> bool:
    """Ask all that the text needs of schema and rows; return whether it is understood.

    Where it is not, nothing was asked, and nothing is known of the schema from there on. `atomic`
    says that it is executed within a transaction.
    """
    schema = walk.interpretation.schema()
    try:
        if "$" in text and any(token.kind == PARAMETER for token in scan(text)):
            raise NotParsedError("a value in it is not known")
        steps = list(interpreted(schema, text))
        if _has_block(text) and not _may_use_language(walk):
            raise NotParsedError(f"the role may not use the language {LANGUAGE}")
    except (NotParsedError, NoGrammarError) as error:
        walk.interpretation.give_up(str(error))
        return False
    if any(map(_is_copy_by_driver, steps)):
        walk.ledger.find("malformed-statement", COPIES, hint=COPIES_BY_METHOD)
        walk.interpretation.give_up(AFTER_REFUSAL)
        return True
    # "can't execute an empty query" (PGRES_EMPTY_QUERY): psycopg 3 goes on.
    if not steps and not is_psycopg3:
        walk.ledger.find(
            "malformed-statement",
            "the migration executes SQL without a statement in it: psycopg2 refuses that",
            hint="remove it; a comment behind the last semicolon of a RunSQL is such a statement",
        )
    if any(each.statement.kind == NEW_VALUE for each in steps[:-1]) or not all(
        _suits_transaction(each.statement, atomic=atomic)
        and _is_understood(walk, steps[:number], each)
        for number, each in enumerate(steps)
    ):
        walk.interpretation.give_up("SQL written by hand before it is not understood")
        return False
    for each in steps:
        if atomic and stands_alone(each.statement):
            _report(walk, IN_TRANSACTION, _shown(each.statement))
            walk.interpretation.give_up(AFTER_REFUSAL)
            break
        _ask(walk, each)
        if each.statement.kind == NEW_VALUE:
            # Until the commit nothing may use it (documentation, ALTER TYPE).
            walk.interpretation.give_up("a new value of an enum before it")
    return True


def _is_copy_by_driver(step: Interpreted) -> bool:
    """Return whether it is a COPY whose rows the driver sends or gets: execute() raises for it."""
    node = step.statement.node
    return step.statement.kind == "copy_stmt" and not (node.filename or node.is_program)


def _has_block(text: str) -> bool:
    return any(each.kind == "do_stmt" for each in parse(text))


def _may_use_language(walk: SchemaWalk) -> bool:
    with walk.connection.cursor() as cursor:
        cursor.execute(MAY_USE, [LANGUAGE])
        return bool(cursor.fetchone() == (True,))


def _suits_transaction(statement: Statement, *, atomic: bool) -> bool:
    """Return whether the statement leaves transaction and session as they are."""
    settings = settings_of(statement)
    if settings is None or not all(map(is_harmless, settings)):
        return False
    return statement.kind != "transaction_stmt" and (atomic or statement.kind != "lock_stmt")


def _is_understood(walk: SchemaWalk, earlier: Sequence[Interpreted], step: Interpreted) -> bool:
    """Return whether all that the statement does is known, `earlier` being those of its text."""
    effects = step.effects
    if effects.unknown is not None or effects.runs_code or effects.outside:
        return False
    # What is refused for a part that was read is refused, whatever the rest says.
    if effects.unread and effects.refusal is None:
        return False
    if effects.refusal is None and (_inherits_anew(step) or not _is_ordinary(step)):
        return False
    if effects.refusal is None and computes_what_fails(walk, step.statement):
        return False
    touched = {
        name for each in earlier for name in (*each.effects.locks, *each.effects.writes_rows)
    }
    return not touched & effects.writes_rows and is_decidable(walk, step)


def _is_ordinary(step: Interpreted) -> bool:
    """Return whether the statement is about plain tables, views and sequences only.

    Of partitions, inheritance, foreign tables and domains PostgreSQL has rules that are rarely
    used, and so rarely tried; the history is asked about by itself: there a rehearsal decides.
    """
    schema = step.before
    domains = {user_type(each.name) for each in schema.types.values() if each.kind == "d"}
    parents = {parent for each in schema.relations.values() for parent in each.parents}
    for name in {*step.effects.locks, *step.effects.locks_with_rows, *step.effects.writes_rows}:
        relation = schema.at(name)
        if relation is None:
            continue
        if relation.kind not in ORDINARY or relation.parents or relation.name in parents:
            return False
        if relation.name.name == HISTORY:
            return False
        if any(each.type.removesuffix("[]") in domains for each in relation.columns.values()):
            return False
    return True


def _inherits_anew(step: Interpreted) -> bool:
    """Return whether who inherits from whom changes, or how rows find their partition."""
    before = step.before.relations
    for name, after in step.after.relations.items():
        former = before.get(name)
        if former is not after and _family(after) != (_family(former) if former else NO_FAMILY):
            return True
    return False


def _family(relation: Relation) -> tuple[tuple[Name, ...], str | None, str | None]:
    return relation.parents, relation.bound, relation.partition_key


NO_FAMILY: tuple[tuple[Name, ...], str | None, str | None] = ((), None, None)


def _ask(walk: SchemaWalk, step: Interpreted) -> None:
    """Report what stands in the way of a statement, ask the rows, and go on with what it leaves.

    A cast is of the column as it was; what rows must satisfy is asked of the table as it becomes.
    """
    effects, shown = step.effects, _shown(step.statement)
    # Of what is written, require_insertable() and write_rows() ask.
    written = step.statement.kind in (INSERT, UPDATE, DELETE)
    questions = [] if written else effects.questions
    _ask_rows(walk, [each for each in questions if each.kind in OF_FORMER_VALUES], shown)
    if effects.refusal is not None:
        _report(walk, effects.refusal, shown)
        walk.interpretation.give_up(AFTER_REFUSAL)
        return
    for loss in effects.lost:
        table = walk.schema.table_of(loss.relation) if loss.relation else None
        if table is not None:
            warn_of_cascade(walk.ledger, table, shown, f"{loss.kind} {loss.name}")
    if step.statement.kind == INSERT:
        require_insertable(walk, step, shown)
    _new_defaults_fit(walk, step)
    _take_over(walk, step)
    _ask_rows(walk, [each for each in questions if each.kind not in OF_FORMER_VALUES], shown)


def _new_defaults_fit(walk: SchemaWalk, step: Interpreted) -> None:
    """Report if the default of a column that is added does not suit its type."""
    for name, former in step.before.relations.items():
        after, table = step.after.relations.get(name), walk.schema.table_of(name)
        if after is None or after is former or table is None:
            continue
        computed = added_at_once(walk, table)
        for column in after.columns.keys() - former.columns.keys():
            found = after.columns[column]
            value = _default_of(found) if found.number > former.last_number else None
            if value is not None:
                expression_fits(walk, table, column, found.type, value, computed=computed)


def _default_of(column: Column) -> str | None:
    """Return a default that the live server can compute: a serial column brings its sequence."""
    default = column.default
    if default is None or column.generated or default.startswith(NEXT):
        return None
    return default


def _ask_rows(walk: SchemaWalk, questions: Iterable[Question], shown: str) -> None:
    for question in questions:
        table = walk.schema.table_of(question.relation)
        if question.kind == DEFAULT and table is not None:
            continue  # The server has computed it.
        words = f"whether the rows of {question.relation} suit {shown}"
        text = question.expression
        live = live_relation(walk.catalog, table.origin) if table is not None else None
        if table is None or (text and not is_trusted(walk, live)):
            walk.ledger.mark_undecided(words)
        elif text and calls_others(walk, text):
            walk.ledger.mark_undecided(f"{words}: {WHY}")
        elif text and _may_be_another(walk, question.kind, text):
            walk.ledger.mark_undecided(words)
        elif question.kind in COMPUTED and text is not None:
            require_no_failure(walk, table, text, shown, columns=question.columns)
        elif question.kind == "index-row":
            require_rows_fit(walk, table, question.columns, [])
        else:
            walk.check_rows(table, words, _probe(walk, question, table))


def _may_be_another(walk: SchemaWalk, kind: str, text: str) -> bool:
    """Return whether what a text calls may do something else by then, or anything as it is called.

    That of an index, a check or a generated column has to be immutable; what makes a cast need not.
    """
    if kind == CAST and not calls_only(walk, text, STEADY):
        return True
    return (kind == CAST or walk.interpretation.knows_more) and runs_code(walk, text)


def _take_over(walk: SchemaWalk, step: Interpreted) -> None:
    ledger = walk.ledger
    walk.interpretation.understood.append(Understood(ledger.migration, ledger.operation, step))
    walk.interpretation.go_on(step.after)
    changed = any(
        getattr(step.before, each) != getattr(step.after, each) for each in SERVER_IS_ASKED
    )
    if changed or step.statement.kind in OF_BODIES:
        walk.interpretation.knows_more = True
        ledger.remember(step.statement.text)
    for name in _fires_anew(step):
        ledger.remember(step.statement.text)
        table = walk.schema.table_of(name)
        if table is not None:
            table.fires_anew = True
    for name, former in step.before.relations.items():
        table = walk.schema.table_of(name)
        if table is not None and step.after.relations.get(name) is not former:
            doubt_if_triggers_wait(ledger, walk.schema, table)
    adopt(
        walk.schema,
        step.before,
        step.after,
        code_runs=ledger.code_runs,
        computed=step.effects.computed,
    )
    write_rows(walk, step)


def _fires_anew(step: Interpreted) -> list[Name]:
    """Return the tables whose triggers, rules or row security are others now."""
    return [
        name
        for name, former in step.before.relations.items()
        if (after := step.after.relations.get(name)) is not None
        and after is not former
        and any(getattr(former, each) != getattr(after, each) for each in FIRING)
    ]


def _probe(walk: SchemaWalk, question: Question, table: SimulatedTable) -> Probe | None:
    """Return the probe for rows in the way; None where no query finds them."""
    if question.kind == "not-null":
        return nulls(table, question.columns[0])
    if question.kind == "unique" and question.expression is None:
        return duplicates(table, question.columns)
    if question.kind == "check" and question.expression is not None:
        return violations(table, question.expression, question.columns)
    if question.kind == "foreign-key" and question.target is not None:
        target = walk.schema.table_of(question.target)
        if target is not None:
            pairs = question.columns, target, question.to_columns
            return orphans(walk.connection, table, *pairs)
    return None


def _shown(statement: Statement) -> str:
    return shorten(" ".join(statement.text.split()), SHOWN, placeholder=" …")


def _report(walk: SchemaWalk, refusal: Refusal, shown: str) -> None:
    """Report that PostgreSQL refuses a statement, whatever the rows."""
    if not refusal.certain:
        walk.ledger.mark_undecided(f"whether PostgreSQL takes {shown}")
        return
    about = [
        f"column {refusal.column}" if refusal.column else "",
        refusal.name or "",
        f"of {refusal.relation}" if refusal.relation else "",
        f"held by {refusal.holder}" if refusal.holder else "",
        f"({refusal.words})" if refusal.words else "",
    ]
    words = " ".join([refusal.kind.replace("-", " "), *filter(None, about)])
    walk.ledger.find(
        "sql-refused",
        f"PostgreSQL refuses hand-written SQL ({words}; SQLSTATE {refusal.sqlstate}): {shown}",
        hint="correct the migration's SQL, or the schema that it expects",
        table=str(refusal.relation) if refusal.relation else None,
        column=refusal.column,
        name=refusal.name,
    )


def doubt_refused(walk: SchemaWalk) -> None:
    """Mark what Django's own statements come to after SQL by hand, where that speaks against them.

    The walk asks the live server about types, functions and the like: it does not know what SQL
    written by hand has made of them.
    """
    walk.interpretation.schema()
    known = {(each.migration, each.operation) for each in walk.ledger.findings}
    for at, refusal in walk.interpretation.refused:
        if (at.migration, at.operation) in known:
            continue
        with walk.ledger.at(at.migration, at.operation):
            shown = shorten(" ".join(at.sql.split()), SHOWN, placeholder=" …")
            question = f"whether PostgreSQL takes this ({refusal.sqlstate})"
            walk.ledger.mark_undecided(f"{question}, after the SQL before it: {shown}")
