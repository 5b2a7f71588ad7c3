"""Why `migrate` failed on the copy, and what fits that: a trigger, something in the way, rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.mentions import mentions
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.sequences import Sequence, read_sequences
from opsmigrate.steps import APPLY, Step, statement

DUPLICATE_TABLE, DUPLICATE_OBJECT = "42P07", "42710"
THERE_ALREADY = {DUPLICATE_TABLE, DUPLICATE_OBJECT, "42701", "42723", "42P06"}
# The class of what a constraint refuses (documentation, PostgreSQL Error Codes).
INTEGRITY = "23"
UNIQUE_VIOLATION = "23505"
KINDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}
KINDS |= {"S": "SEQUENCE", "i": "INDEX", "I": "INDEX"}
# A line of a context, in any language: PL/pgSQL function "My schema".no(integer) line 1 at RAISE.
FUNCTION = re.compile(r'PL/pgSQL.*?\s((?:"(?:[^"]|"")*"|[^\s"(])+\([^)]*\))')
TRIGGERS = """
SELECT t.tgname, n.nspname, c.relname
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgfoid = to_regprocedure(%s) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
ORDER BY 2, 3, 1
"""
# Also said where an open cursor of the same session reads the table.
OBJECT_IN_USE = "55006"
SPLIT = (
    "split the migration in two: checks of foreign keys are deferred until its transaction ends, "
    "and until then the table of the written rows cannot be altered; or execute SET CONSTRAINTS "
    "ALL IMMEDIATE at the end of the code"
)
CORRECT = "correct the migration, or the rows on which it fails"


class Cause(NamedTuple):
    """What to decide, in words, and what to type."""

    hint: str
    steps: tuple[Step, ...] = ()


def cause_of(
    connection: BaseDatabaseWrapper, catalog: Catalog, failure: Mapping[str, Any]
) -> Cause:
    """Return what fits the failure of `migrate`.

    What is named is looked up in the live database: text of an error is in the server's language,
    and data besides.
    """
    state = failure["sqlstate"]
    functions = [found[1] for found in FUNCTION.finditer(failure.get("context") or "")]
    triggers = [each for name in functions for each in _triggers(connection, name)]
    if triggers:
        return _of_trigger(triggers, failure["sql"] or "")
    if functions:
        return Cause(f"correct the function {functions[0]}, or what calls it")
    if state in THERE_ALREADY:
        return _in_the_way(catalog, failure)
    if state == OBJECT_IN_USE:
        return Cause(SPLIT)
    behind = _behind(connection, catalog, failure) if state == UNIQUE_VIOLATION else []
    if behind:
        named = " and ".join(f"{each.label} of {each.column}" for each in behind)
        words = f"{named} gives keys that rows have already: let it go on behind the last of them"
        return Cause(words, tuple(statement(each.remedy) for each in behind))
    if state is not None and state.startswith(INTEGRITY):
        place = ".".join(filter(None, (failure.get("schema"), failure.get("table"))))
        what = failure.get("constraint") or failure.get("column")
        named = f" of {place}" if place else ""
        refused = f", which {what} refuses" if what else ""
        return Cause(f"correct the rows{named}{refused}, or the migration that writes them")
    return Cause(CORRECT)


def _behind(
    connection: BaseDatabaseWrapper, catalog: Catalog, failure: Mapping[str, Any]
) -> list[Sequence]:
    """Return the live sequences that are behind, of columns that the violated index is of."""
    names = (failure.get("schema"), failure.get("table"))
    table = next((each for each in catalog.relations if (each.schema, each.name) == names), None)
    if table is None:
        return []
    named = failure.get("constraint")
    columns = {each for index in table.indexes if index.name == named for each in index.columns}
    places = {f"{table.schema}.{table.name}.{column}" for column in columns}
    try:
        owned = read_sequences(connection, of=(table.schema, table.name))
    except Error:  # The role may not read one.
        return []
    return [each for each in owned if each.is_behind and each.column in places]


def _triggers(connection: BaseDatabaseWrapper, function: str) -> list[tuple[str, str, str]]:
    """Return name, schema and table of the live triggers that call the function."""
    try:
        return [
            (name, schema, table)
            for name, schema, table in seen_by_project(connection, TRIGGERS, [function])
        ]
    except Error:  # It is no name of a function after all.
        return []


def _of_trigger(triggers: list[tuple[str, str, str]], sql: str) -> Cause:
    touched = [item for item in triggers if mentions(sql, item[2])] or triggers
    names = ", ".join(f"{name} of {schema}.{table}" for name, schema, table in touched)
    steps = []
    for action in ("DISABLE", "ENABLE"):
        risk = "it does not fire until it is enabled again" if action == "DISABLE" else None
        steps += [
            statement(
                f"ALTER TABLE {quoted(schema, table)} {action} TRIGGER {quoted(name)}", risk=risk
            )
            for name, schema, table in touched
        ]
    steps[len(touched) : len(touched)] = APPLY
    return Cause(
        f"decide about the trigger {names}: if it is right, change the migration; if it is not "
        "meant for migrations, disable it while they run",
        tuple(steps),
    )


def _in_the_way(catalog: Catalog, failure: Mapping[str, Any]) -> Cause:
    """Return what makes room for what the statement makes, where it is known what is there."""
    if failure["sqlstate"] == DUPLICATE_TABLE:
        relations = list(_named(catalog, failure))
        if len(relations) == 1:
            words, step = _room(catalog, relations[0])
            return Cause(words, (step,))
    if failure["sqlstate"] == DUPLICATE_OBJECT:
        found = [
            (table, item.name)
            for table in catalog.relations
            for item in table.constraints
            if _is_named(item.name, failure) and _is_named(table.name, failure)
        ]
        if len(found) == 1:
            table, name = found[0]
            rename = (
                f"ALTER TABLE {quoted(table.schema, table.name)} RENAME CONSTRAINT {quoted(name)} "
                f"TO {quoted(_former(name))}"
            )
            return Cause(
                f"the table has a constraint {name} already: rename it, and drop it if it turns "
                "out to be the same",
                (statement(rename),),
            )
    return Cause(
        "what the statement creates already exists: drop or rename it, or remove the statement"
    )


def _named(catalog: Catalog, failure: Mapping[str, Any]) -> Iterator[Relation]:
    for relation in catalog.relations:
        if relation.kind in KINDS and _is_named(relation.name, failure):
            yield relation


def _is_named(name: str, failure: Mapping[str, Any]) -> bool:
    """Return whether PostgreSQL's words name it, and the statement does."""
    return mentions(failure["words"], name) and mentions(failure["sql"] or "", name)


def _room(catalog: Catalog, relation: Relation) -> tuple[str, Step]:
    name, former = quoted(relation.schema, relation.name), quoted(_former(relation.name))
    for table in catalog.relations:
        index = next((item for item in table.indexes if item.name == relation.name), None)
        if index is None or table.schema != relation.schema:
            continue
        if not index.valid and relation.kind == "i":
            words = (
                f"the index {relation.name} already exists, and INVALID, as an interrupted CREATE "
                "INDEX CONCURRENTLY leaves it: drop it, the migration creates it"
            )
            return words, statement(f"DROP INDEX CONCURRENTLY {name}")
        if not index.unique and not index.primary:
            words = f"the index {relation.name} already exists: drop it, the migration creates it"
            return words, statement(f"DROP INDEX {name}")
        break
    words = f"{relation.name} already exists: rename it, and drop it when it is no longer needed"
    return words, statement(f"ALTER {KINDS[relation.kind]} {name} RENAME TO {former}")


def _former(name: str) -> str:
    return f"{name[:48]}_former"
