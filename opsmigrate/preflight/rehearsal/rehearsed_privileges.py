"""The rights that a copy hides: on it everything belongs to the role that restored it.

What a statement needs, its interpretation tells (interpret/rights.py), from the live schema on and
statement by statement; whether the role has it, the live database (lacking_rights.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.rights import Needs, needs_of
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.preflight.rehearsal.doubted_rights import doubted, unusable
from opsmigrate.preflight.rehearsal.lacking_rights import LackingRights
from opsmigrate.preflight.rehearsal.objects_of_others import read_objects_of_others
from opsmigrate.preflight.rehearsal.reached_code import code_reached, sets_role
from opsmigrate.preflight.rehearsal.rehearsed_statement import FURTHER, RehearsedStatement
from opsmigrate.preflight.rehearsal.revoked_privileges import withholds
from opsmigrate.preflight.walk.interpretation import Interpreted, Understood
from opsmigrate.preflight.walk.privileges import BY_OTHERS, MissingPrivilege
from opsmigrate.report import Finding, Severity

REHEARSED, BY_HAND = "it succeeded in the rehearsal", "its SQL is understood"


class Asked(NamedTuple):
    """A text of an operation, and what each statement of it needs; None where it was not kept."""

    migration: str | None
    operation: str | None
    needs: tuple[Needs, ...] | None


def check_rehearsed_privileges(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    statements: Iterable[PlannedStatement | RehearsedStatement],
    ledger: Ledger,
) -> None:
    """Report privileges that the statements of a rehearsal lack on the live database."""
    if catalog.superuser:
        return
    others = read_objects_of_others(connection, catalog)
    if others.anything(catalog) or others.database.withholds or withholds(connection):
        asked = _asked(read_schema(connection, catalog.neighbours), statements)
        _check(LackingRights(connection, catalog, others), asked, ledger, REHEARSED)


def check_understood_privileges(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    understood: Iterable[Understood],
    ledger: Ledger,
) -> None:
    """Report privileges that SQL written by hand lacks, which is understood and not rehearsed."""
    if catalog.superuser:
        return
    others = read_objects_of_others(connection, catalog)
    asked = (
        Asked(each.migration, each.operation, (_needs_of_step(each.step),)) for each in understood
    )
    _check(LackingRights(connection, catalog, others), asked, ledger, BY_HAND)


def _needs_of_step(step: Interpreted) -> Needs:
    rights = tuple(dict.fromkeys(step.effects.rights))
    return Needs(statement=step.statement, before=step.before, rights=rights, effects=step.effects)


def _asked(
    schema: Schema, statements: Iterable[PlannedStatement | RehearsedStatement]
) -> Iterator[Asked]:
    """Yield each text once at each place; the schema goes on from one to the next."""
    seen: set[tuple[str | None, str | None, str]] = set()
    for each in statements:
        key = (each.migration, each.operation, each.sql)
        if key in seen:
            continue
        seen.add(key)
        if each.sql == FURTHER:
            schema = replace(schema, incomplete="statements that were not recorded")
            yield Asked(each.migration, each.operation, None)
            continue
        found = []
        for after, needs in needs_of(schema, each.sql):
            schema = after
            found.append(needs)
        yield Asked(each.migration, each.operation, tuple(found))


def _check(lacking: LackingRights, asked: Iterable[Asked], ledger: Ledger, known: str) -> None:
    """Report what is missing; `known` says why the statements count."""
    as_another = False
    for each in asked:
        with ledger.at(each.migration, each.operation):
            if each.needs is None:
                if lacking.others.anything(lacking.catalog):
                    ledger.mark_undecided(
                        "it executed more statements than were recorded for checking their "
                        "privileges"
                    )
                continue
            as_another = as_another or any(map(sets_role, each.needs))
            found = dict.fromkeys(one for needs in each.needs for one in _missing(lacking, needs))
            for missing in found:
                if isinstance(missing, MissingPrivilege) and not as_another:
                    _find(ledger, missing, lacking.catalog.role, known)
                else:
                    words = missing.words if isinstance(missing, MissingPrivilege) else missing
                    ledger.mark_undecided(f"{known}, but {words}")


def _find(ledger: Ledger, missing: MissingPrivilege, role: str, known: str) -> None:
    """Add a finding, once; not through find(), as it is the SQL by hand that needs the right."""
    ledger.add(
        Finding(
            id="missing-privilege",
            severity=Severity.ERROR,
            message=f"{known}, but {missing.words}",
            hint=BY_OTHERS,
            steps=missing.steps(role),
            migration=ledger.migration,
            operation=ledger.operation,
            table=missing.on or None,
        )
    )


def _missing(lacking: LackingRights, needs: Needs) -> Iterator[MissingPrivilege | str]:
    """Yield what is certainly missing, and in words what may be."""
    for right in needs.rights:
        yield from lacking.of(needs.before, right)
    for doubt in needs.doubts:
        yield from doubted(lacking, needs.before, doubt)
    yield from code_reached(lacking, needs)
    if needs.statement is not None:
        yield from unusable(lacking.others, needs.statement.text)
