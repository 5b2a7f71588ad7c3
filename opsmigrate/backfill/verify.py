"""Whether the column is as the goal wants it, from the catalog and from every row."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.state import State, read_state
from opsmigrate.counted import counted
from opsmigrate.postgres.values import count_nulls, count_nulls_and_duplicates
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.steps import command


def verify(
    connection: BaseDatabaseWrapper,
    spec: ColumnSpec,
    *,
    again: str,
    done: Mapping[str, Any],
    thorough: bool = True,
) -> Result:
    """Return whether the column is as the goal wants it, having read every row.

    `done` is what the run that ends here did, for the facts. Without `thorough` duplicates are
    not looked for where a valid unique constraint excludes them. `again` is what to type next.
    """
    state = read_state(connection, spec)
    rows = nulls = duplicates = None
    wrong = [words for there, words in _demands(state, spec) if not there]
    if state.has_column:
        group = spec.unique and (thorough or state.valid_index is None)
        count = count_grouped if group else _count
        rows, nulls, duplicates = count(connection, spec)
        wrong += _of_rows(spec, nulls, duplicates)
    facts = {"rows": rows, **done, "nulls": nulls, "duplicates": duplicates}
    if wrong:
        return _unseeded(spec, wrong, facts, again)
    seeded = f"{done['seeded']:,} seeded now; " if "seconds" in done else ""
    held = ["NOT NULL"] if not spec.nullable else []
    held += ["unique"] if spec.unique else []
    held += [counted(nulls or 0, "NULL")]
    held += ["0 duplicates"] if spec.unique else []
    some = counted(rows or 0, "row")
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{spec.label}.{spec.column}: {some}, {seeded}{', '.join(held)}",
        facts=facts,
    )


def count_grouped(connection: BaseDatabaseWrapper, spec: ColumnSpec) -> tuple[int, int, int]:
    """Return (rows, NULLs, values on more than one row) by comparing every value."""
    return count_nulls_and_duplicates(connection, spec.schema, spec.table, spec.column)


def _count(connection: BaseDatabaseWrapper, spec: ColumnSpec) -> tuple[int, int, int]:
    return *count_nulls(connection, spec.schema, spec.table, spec.column), 0


def _of_rows(spec: ColumnSpec, nulls: int, duplicates: int) -> list[str]:
    wrong = []
    if nulls and not spec.nullable:
        wrong.append(f"{counted(nulls, 'row')} without a value")
    if duplicates:
        wrong.append(f"{counted(duplicates, 'value')} in more than one row")
    return wrong


def _demands(state: State, spec: ColumnSpec) -> list[tuple[bool, str]]:
    if not state.has_column:
        return [(False, "the column does not exist")]
    return [
        (state.column_type == spec.type, f"its type is {state.column_type}"),
        (state.not_null or spec.nullable, "it may be NULL"),
        (
            state.constraint == spec.constraint or not spec.unique,
            f"it has no unique constraint {spec.constraint}",
        ),
        (
            state.default is not None or not spec.wants_default,
            "it has no default in the database, which the previous release needs",
        ),
    ]


def _unseeded(spec: ColumnSpec, wrong: Sequence[str], facts: dict[str, Any], again: str) -> Result:
    finding = Finding(
        id="not-seeded",
        severity=Severity.ERROR,
        message=f"{spec.label}.{spec.column} is not as it must be: {'; '.join(wrong)}",
        steps=(command(again),),
        table=spec.label,
        column=spec.column,
    )
    return Result(verdict=Verdict.FAILED, summary=finding.message, findings=(finding,), facts=facts)
