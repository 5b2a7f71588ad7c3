"""The schema that the walk's hooks change, beside the one that its statements make.

While both are there, any difference between them fails a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Index as IndexFacts
from opsmigrate.preflight import look, walk_plan
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.schema import Index, Relation, Schema
from opsmigrate.preflight.walk.columns import UNKNOWN
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.preflight.walk.tracing import TracingEditor
from opsmigrate.report import Severity
from opsmigrate.sql.grammar import parse, parse_expression
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import NotParsedError
from opsmigrate.sql.types import type_of

TABLE_KINDS = "rp"
# As pg_constraint.contype; NOT NULL ones are compared as columns, foreign keys by themselves.
OF_TABLES = "pucx"


NOT_BEGUN = "it has not begun"


@dataclass
class SideBySide:
    """One run of preflight; `stopped` says why nothing more is compared in it."""

    schema: Schema | None = None
    # That of the plan: what was done already is looked for by a walk of its own.
    walk: SchemaWalk | None = None
    waiting: list[str] = field(default_factory=list)
    stopped: str | None = NOT_BEGUN
    compared: int = 0
    unknown: int = 0
    differences: list[str] = field(default_factory=list)

    def begin(self, connection: BaseDatabaseWrapper) -> None:
        """Read the schema from which the walk goes out."""
        self.schema, self.walk, self.stopped = read_schema(connection), None, None
        self.waiting.clear()

    def note(self, walk: SchemaWalk, text: str) -> None:
        """Remember a statement of the plan."""
        self.walk = self.walk or walk
        if walk is self.walk:
            self.waiting.append(text)

    def compare(self, walk: SchemaWalk, place: str) -> None:
        """Interpret what was executed since the last time, and compare with the simulation."""
        if walk is not self.walk:
            return
        texts, self.waiting = self.waiting, []
        if self.stopped is not None or self.schema is None:
            return
        schema = self.schema
        for text in texts:
            schema = self._after(schema, text, walk, place)
        self.schema = schema
        if self.stopped is None:
            self.compared += 1
            self.differences += (f"{place}: {line}" for line in _differences(walk.schema, schema))

    def _after(self, schema: Schema, text: str, walk: SchemaWalk, place: str) -> Schema:
        try:
            statements = parse(text)
        except NotParsedError as error:
            self.stopped = str(error)
            return schema
        for statement in statements:
            schema, effects = interpret(schema, statement)
            self.unknown += effects.unknown is not None
            if effects.refusal is None:
                continue
            # The walk goes on as if the step had been done.
            self.stopped = f"{effects.refusal.sqlstate} at {place}"
            if effects.refusal.certain and not _has_a_doubt(walk):
                self.differences.append(
                    f"{place}: refused, and the walk has found nothing: {effects.refusal}: {text}"
                )
        return schema


def _has_a_doubt(walk: SchemaWalk) -> bool:
    ledger = walk.ledger
    found = any(each.severity is Severity.ERROR for each in ledger.findings)
    return found or bool(ledger.undecided) or bool(ledger.operation_unknown)


def _differences(simulated: Simulation, schema: Schema) -> Iterator[str]:
    if schema.all_tainted is not None:
        return
    theirs = {
        Name(table.schema, table.name): table
        for table in simulated._tables.values()
        if table.kind in TABLE_KINDS
    }
    ours = {
        name: relation
        for name, relation in schema.relations.items()
        if relation.kind in TABLE_KINDS and relation.persistence != "t"
    }
    for name in sorted({*theirs, *ours} - schema.tainted):
        if name not in ours:
            yield f"{name}: only the simulation has it"
        elif name not in theirs:
            yield f"{name}: only the interpreter has it"
        else:
            yield from _of_table(theirs[name], ours[name], schema)
    yield from _of_foreign_keys(simulated, ours, schema)


def _of_table(simulated: SimulatedTable, relation: Relation, schema: Schema) -> Iterator[str]:
    columns = relation.columns
    yield from _unequal(
        f"{relation.name}: types",
        {name: _shown(type_, schema.search_path) for name, type_ in simulated.types.items()},
        {name: _shown(column.type, schema.search_path) for name, column in columns.items()},
    )
    for about, names, wanted in (
        ("NOT NULL", simulated.not_null, {n for n, each in columns.items() if each.not_null}),
        ("identity", simulated.identities, {n for n, each in columns.items() if each.identity}),
        ("generated", simulated.generated, {n for n, each in columns.items() if each.generated}),
        (
            "default",
            simulated.defaults,
            {n for n, each in columns.items() if each.default is not None and not each.generated},
        ),
    ):
        yield from _unequal(
            f"{relation.name}: {about}", dict.fromkeys(names, True), dict.fromkeys(wanted, True)
        )
    yield from _unequal(
        f"{relation.name}: constraints",
        {
            name: (kind, () if kind == "x" else columns)
            for name, (kind, columns) in simulated.constraints.items()
            if kind in OF_TABLES
        },
        {
            name: (each.kind, () if each.kind == "x" else each.columns)
            for name, each in relation.constraints.items()
            if each.kind in OF_TABLES
        },
    )
    yield from _unequal(
        f"{relation.name}: indexes",
        {name: _of_simulated(index) for name, index in simulated.indexes.items()},
        {name: _of_index(index) for name, index in relation.indexes.items()},
    )


def _of_simulated(index: IndexFacts) -> tuple[Any, ...]:
    columns: Any = None if index.partial else index.columns
    return (columns, index.unique, index.primary, index.valid, index.include)


def _of_index(index: Index) -> tuple[Any, ...]:
    """Return what a simulated index has too: of one on expressions, or of a part, no columns."""
    whole = index.predicate is None and all(key.column for key in index.keys)
    columns = tuple(key.column for key in index.keys) if whole and not index.exclusion else None
    return (columns, index.unique, index.primary, index.valid, index.include)


def _of_foreign_keys(
    simulated: Simulation, ours: dict[Name, Relation], schema: Schema
) -> Iterator[str]:
    theirs = {
        f"{key.table.label}.{key.name}": (
            key.columns,
            Name(key.target.schema, key.target.name),
            key.to_columns,
            key.validated,
        )
        for key in simulated.foreign_keys
        if Name(key.table.schema, key.table.name) not in schema.tainted
    }
    wanted = {
        f"{name}.{each.name}": (each.columns, each.target, each.to_columns, each.validated)
        for name, relation in ours.items()
        for each in relation.constraints.values()
        if each.kind == "f" and name not in schema.tainted
    }
    yield from _unequal("foreign keys", theirs, wanted)


def _unequal(about: str, simulated: dict[str, Any], interpreted: dict[str, Any]) -> Iterator[str]:
    for name in sorted({*simulated, *interpreted}):
        one, other = simulated.get(name), interpreted.get(name)
        if one != other:
            yield f"{about}: {name}: simulated {one}, interpreted {other}"


@cache
def _shown(type_: str, path: tuple[str, ...]) -> str:
    """Return a type as the server has it, but for the schemas of the search_path.

    The simulation has those that the plan makes as Django writes them.
    """
    cast = parse_expression(f"NULL::{type_}").type_cast.type_name
    found = type_of(cast, lambda schema, name: Name(schema or path[0], name)) or type_
    for each in path:
        found = found.removeprefix(f"{each}.")
    return found


@pytest.fixture
def side_by_side(monkeypatch: pytest.MonkeyPatch) -> Iterator[SideBySide]:
    """Compare after each operation of every preflight in the test; any difference fails it."""
    both = SideBySide()
    read_catalog, move, note = look.read_catalog, walk_plan.walk_operation, TracingEditor.note
    run_deferred = TracingEditor.run_deferred

    def reading(connection: BaseDatabaseWrapper, *neighbours: Any) -> Any:
        both.begin(connection)
        return read_catalog(connection, *neighbours)

    def moving(each: Any) -> None:
        both.walk = both.walk or each.walk
        move(each)
        both.compare(each.walk, f"{each.walk.ledger.migration} {each.walk.ledger.operation}")

    def noting(editor: TracingEditor, sql: Any, params: Any = (), **about: Any) -> bool:
        sent = note(editor, sql, params, **about)
        if sent:
            text = str(sql)
            composed = str(editor.connection.ops.compose_sql(text, params)) if params else text
            # A default that only the project's code knows is a parameter to the grammar.
            both.note(editor.walk, composed.replace(f"'{UNKNOWN}'", "$1"))
        return sent

    def at_the_end(editor: TracingEditor) -> None:
        run_deferred(editor)
        both.compare(editor.walk, f"{editor.walk.ledger.migration}, deferred")

    monkeypatch.setattr(look, "read_catalog", reading)
    monkeypatch.setattr(walk_plan, "walk_operation", moving)
    monkeypatch.setattr(TracingEditor, "note", noting)
    monkeypatch.setattr(TracingEditor, "run_deferred", at_the_end)
    yield both
    # Some plans are refused at their first statement.
    assert both.compared or both.stopped != NOT_BEGUN, "nothing was compared"
    assert both.differences == [], "\n".join(both.differences)
