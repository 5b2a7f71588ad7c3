"""What UPDATE and DELETE written by hand do to the rows, as far as a query can tell."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.interpret.effects import Assigned
from opsmigrate.preflight.interpret.queries import is_setting
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.preflight.walk.code_of_others import calls_others, is_trusted
from opsmigrate.preflight.walk.default_values import why_not_assigned
from opsmigrate.preflight.walk.expressions import ForbiddenError, misfit
from opsmigrate.preflight.walk.inserted_rows import INSERT, is_plain_insert
from opsmigrate.preflight.walk.interpretation import Interpreted
from opsmigrate.preflight.walk.privileges import live_relation
from opsmigrate.preflight.walk.probes import fails_on_rows, nulls, violations
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK, SimulatedTable, live_value
from opsmigrate.preflight.walk.waiting_triggers import note_rows_written
from opsmigrate.schema.types import base, in_full, modifiers
from opsmigrate.sql.expressions import columns_used_by, deparse, nodes_in, parse_expression
from opsmigrate.sql.names import Name

# Foreign keys, unique and exclusion constraints.
KEYS = frozenset("fpux")
MORE_THAN_ITS_ROWS = frozenset(
    {"from_clause", "using_clause", "returning_list", "returning_clause", "with_clause"}
)
SELECT, UPDATE, DELETE = "select_stmt", "update_stmt", "delete_stmt"
# What these say of rows is not asked.
NOT_ASKED = frozenset({"merge_stmt", "copy_stmt", SELECT})
# Of these parts an expression may consist: the same for the same row, whoever asks.
PLAIN = frozenset(
    {"A_Const", "A_Expr", "BoolExpr", "Boolean", "CaseExpr", "CaseWhen", "CoalesceExpr"}
    | {"ColumnRef", "Float", "Integer", "List", "Node", "NullTest", "String", "TypeCast"}
    | {"TypeName", "BooleanTest"}
)


# Functions of pg_catalog that are immutable, and for the same row the same.
FUNCTIONS = frozenset(
    {"abs", "btrim", "char_length", "initcap", "left", "length", "lower", "lpad", "ltrim", "md5"}
    | {"replace", "reverse", "right", "rpad", "rtrim", "split_part", "strpos", "substr"}
    | {"substring", "upper"}
)


class NewValue(NamedTuple):
    """What a column holds after an UPDATE: an expression of the rows as they were."""

    column: str
    expression: Composable
    columns: tuple[str, ...]


def is_decidable(walk: SchemaWalk, step: Interpreted) -> bool:
    """Return whether a query can tell what a statement that writes rows comes to."""
    kind, written, assigned = (
        step.statement.kind,
        step.effects.writes_rows,
        step.effects.assigned,
    )
    if step.effects.refusal is not None:
        return True
    if kind == INSERT:
        return is_plain_insert(walk, step)
    if kind in NOT_ASKED:
        return kind == SELECT and is_setting(step.statement.node)
    if kind not in (UPDATE, DELETE):
        return True
    relations = [step.before.relations.get(name) for name in written]
    if any(each is None or each.row_security for each in relations):
        return False
    if not _is_computable(walk, step):
        return False
    if all(_is_empty(walk, name) for name in written):
        return all(_is_assignable(walk, name, each) for name in written for each in assigned)
    if len(written) != 1 or any(_is_referred_to(step.before, name) for name in written):
        return False
    [relation] = relations
    if relation is None:
        return False
    return _is_askable(walk, step, relation) and (kind == DELETE or _is_plain(walk, step, relation))


def _expressions(node: Any) -> list[str] | None:
    """Return what an UPDATE or DELETE computes of each row; None where it asks more than that."""
    if any(descriptor.name in MORE_THAN_ITS_ROWS for descriptor, _ in node.ListFields()):
        return None
    found = [each.res_target.val for each in getattr(node, "target_list", ())]
    if node.HasField("where_clause"):
        found.append(node.where_clause)
    return [deparse(each) for each in found]


def _is_computable(walk: SchemaWalk, step: Interpreted) -> bool:
    """Return whether PostgreSQL takes the expressions; it computes constants where no row is."""
    texts = _expressions(step.statement.node)
    if texts is None:
        return False
    nodes = [node for text in texts for node in nodes_in(parse_expression(text))]
    calls = [node for node in nodes if node.DESCRIPTOR.name == "FuncCall"]
    if {node.DESCRIPTOR.name for node in nodes} - PLAIN - {"FuncCall"}:
        return False
    if not all(_is_known(step.before, call) for call in calls):
        return False
    if any(calls_others(walk, text) for text in texts):
        return False
    tables = [walk.schema.table_of(name) for name in step.effects.writes_rows]
    try:
        return all(
            table is not None and misfit(walk, table, text, {}) is None
            for table in tables
            for text in texts
        )
    except ForbiddenError:
        return False


def _is_known(schema: Schema, call: Any) -> bool:
    """Return whether a call is of a plain function of PostgreSQL's, and cannot be of another."""
    name = [part.string.sval for part in call.funcname][-1]
    return name in FUNCTIONS and all(each.name.name != name for each in schema.functions)


def write_rows(walk: SchemaWalk, step: Interpreted) -> None:
    """Let the tables have the rows that the statement leaves, and ask what an UPDATE gives them."""
    kind = step.statement.kind
    tables = [walk.schema.table_of(name) for name in step.effects.writes_rows]
    for table in tables:
        if table is None or (walk.rows(table) == 0 and kind in (UPDATE, DELETE)):
            continue
        if kind == UPDATE:
            _update(walk, table, step)
        else:
            table.written = True
            table.values.clear()


def _update(walk: SchemaWalk, table: SimulatedTable, step: Interpreted) -> None:
    given = {
        each.column: _new_value(table, each, table.values[each.column])
        for each in step.effects.assigned
    }
    table.values |= {column: new.expression for column, new in given.items()}
    note_rows_written(walk.ledger, walk.schema, table, given)
    relation = step.before.relations[Name(table.schema, table.name)]
    for column in sorted(given.keys() & table.not_null):
        question = f"whether the new values of {table.label}.{column} are NULL"
        walk.check_rows(table, question, nulls(table, column))
    for each in relation.constraints.values():
        if each.kind == CHECK and given.keys() & set(each.columns) and each.condition:
            question = f"whether the new values of {table.label} satisfy {each.name}"
            walk.check_rows(table, question, violations(table, each.condition, each.columns))


def _is_empty(walk: SchemaWalk, name: Name) -> bool:
    table = walk.schema.table_of(name)
    return table is not None and walk.rows(table) == 0


def _is_assignable(walk: SchemaWalk, name: Name, given: Assigned) -> bool:
    """Return whether a constant becomes the type of its column: the planner computes it."""
    table = walk.schema.table_of(name)
    if table is None or columns_used_by(given.expression):
        return table is not None
    value, type_ = sql.SQL(given.expression), table.types[given.column]
    return why_not_assigned(walk.connection, value, type_, computed=True) is None


def _is_referred_to(schema: Schema, name: Name) -> bool:
    """Return whether writing its rows touches others: then triggers wait for the commit, too."""
    return any(
        key.kind == "f" and key.target == name
        for other in schema.relations.values()
        for key in other.constraints.values()
    )


def _is_plain(walk: SchemaWalk, step: Interpreted, relation: Relation) -> bool:
    """Return whether an UPDATE is of columns that nothing but checks and NOT NULL look at.

    A unique index is asked row by row, so that the order of the rows decides.
    """
    table = walk.schema.table_of(relation.name)
    given = step.effects.assigned
    columns = {each.column for each in given}
    if table is None or len(columns) != len(step.statement.node.target_list):
        return False
    keys = any(
        each.kind in KEYS and columns & set(each.columns) for each in relation.constraints.values()
    )
    unique = any(
        each.unique
        and (each.predicate or any(key.expression or key.column in columns for key in each.keys))
        for each in relation.indexes.values()
    )
    computed = any(each.generated for each in relation.columns.values())
    of_people = any("." in relation.columns[each].type for each in columns)
    cut = any(not _fits(each.expression, table.types[each.column]) for each in given)
    return not (keys or unique or computed or of_people or cut)


def _fits(expression: str, type_: str) -> bool:
    """Return whether a value is as long and as exact as its column takes, whatever the row."""
    node = parse_expression(expression)
    if not modifiers(type_) or (node.WhichOneof("node") == "a_const" and node.a_const.isnull):
        return True
    is_text = base(type_) == "character varying" and node.WhichOneof("node") == "a_const"
    return is_text and 0 < len(node.a_const.sval.sval) <= modifiers(type_)[0]


def _is_askable(walk: SchemaWalk, step: Interpreted, relation: Relation) -> bool:
    """Return whether every row can be asked, as it is live, and none makes the statement fail."""
    table = walk.schema.table_of(relation.name)
    texts = _expressions(step.statement.node) or []
    if table is None or walk.rows(table) is None or relation.kind != "r" or relation.bound:
        return False
    if not is_trusted(walk, live_relation(walk.catalog, table.origin)):
        return False
    used = tuple(dict.fromkeys(each for text in texts for each in columns_used_by(text)))
    if any(table.values.get(each) != live_value(each) for each in used):
        return False
    values = [
        _new_value(table, each, sql.Identifier(each.column)) for each in step.effects.assigned
    ]
    asked = [(each.expression, each.columns) for each in values]
    asked += [(sql.SQL(text), columns_used_by(text)) for text in texts]
    return all(fails_on_rows(walk.connection, table, *each) == "" for each in asked)


def _new_value(table: SimulatedTable, given: Assigned, before: Composable) -> NewValue:
    """Return what the column holds then; `before` is what it holds where the condition is false."""
    type_ = in_full(table.types[given.column])
    value = sql.SQL("({})::{}").format(sql.SQL(given.expression), sql.SQL(type_))
    columns = columns_used_by(given.expression)
    if given.condition is None:
        return NewValue(given.column, value, columns)
    whole = sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
        sql.SQL(given.condition), value, before
    )
    used = dict.fromkeys((*columns, *columns_used_by(given.condition), given.column))
    return NewValue(given.column, whole, tuple(used))
