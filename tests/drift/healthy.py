"""python -m tests.drift.healthy: preflight on healthy states, with and without a rehearsal.

Works on the project of DJANGO_SETTINGS_MODULE, as its settings stand (OPSMIGRATE_ENVIRONMENT too),
and on the server of its default alias, on which it makes and drops databases named drift_* and a
role drift_owner. The alias's role must be a superuser. A state is the project's own history,
migrated up to some point, with a row in each table that takes one (of the fields' own defaults,
where they have any); what the verdict is worth is seen by the `migrate` that follows.
"""

import argparse
import io
import json
import multiprocessing
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import django
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models.signals import post_migrate

from opsmigrate.management.base import INTERRUPTED
from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.report import Severity
from tests.drift import fuzz
from tests.drift.target import OWNER, Target
from tests.json_reports import parsed

Key = tuple[str, str]
MODES = ("auto", "off")
BASE, STATE, CASE = "drift_base", "drift_state", "drift_case"
LONGEST = 5


@dataclass(frozen=True)
class State:
    """A point of the history: these migrations are applied, in this order."""

    name: str
    applied: tuple[Key, ...]


@dataclass(frozen=True)
class Outcome:
    """What preflight said in each mode, with its reports, and whether migrate then applied."""

    reports: dict[str, dict[str, Any]]
    seconds: dict[str, float]
    failure: str

    def verdict(self, mode: str) -> str:
        """Return the verdict of a mode."""
        return str(self.reports[mode]["verdict"])

    def wrong(self, mode: str) -> bool:
        """Return whether it said yes or no, and migrate the other."""
        return self.verdict(mode) == ("passed" if self.failure else "failed")


def states_of(steps: list[Key], graph: Any) -> list[State]:
    """Return the states to look at: releases behind, apps behind, nothing and everything."""
    of_app: dict[str, list[Key]] = {}
    for step in steps:
        of_app.setdefault(step[0], []).append(step)

    def with_later(pending: Iterable[Key]) -> set[Key]:
        return {after for key in pending for after in graph.backwards_plan(key)}

    def state(name: str, pending: set[Key]) -> State:
        return State(name, tuple(step for step in steps if step not in pending))

    def behind(count: int, most: int) -> Iterator[State]:
        """Yield the apps of the longest histories, but those on which half the project stands."""
        tails = {app: with_later(own[-count:]) for app, own in of_app.items()}
        fitting = [app for app, tail in tails.items() if len(tail) <= 2 * count + 1]
        for app in sorted(fitting, key=lambda app: -len(of_app[app]))[:most]:
            yield state(f"{app} {count} behind", tails[app])

    def outermost(count: int) -> set[Key]:
        """Return what nothing else stands on, so many times over."""
        pending: set[Key] = set()
        for _ in range(count):
            rest = [step for step in steps if step not in pending]
            pending |= {step for step in rest if with_later([step]) <= pending | {step}}
        return pending

    return [
        state("everything pending", set(steps)),
        state("3 releases pending", outermost(3)),
        state("1 release pending", outermost(1)),
        *behind(LONGEST, 1),
        *behind(1, 2),
        state("nothing pending", set()),
    ]


def isolated(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the function returns in a process of its own.

    Projects, and Django's types of extensions, remember what they saw of another database: the
    process that forks this one never connects.
    """
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def build(database: str, steps: list[Key]) -> None:
    """Apply these migrations to the database, and at their end what post_migrate does.

    Receivers of today may fail at an earlier point, where those of then did not: others go on.
    """
    fuzz.use(database, owner=True)
    done = MigrationExecutor(connection).loader.applied_migrations
    left = [step for step in steps if step not in done]
    if left:
        fuzz.migrate_directly(left[:-1])
        with patch.object(post_migrate, "send", post_migrate.send_robust):
            fuzz.step_to(*left[-1])
    connection.close()


def fill(database: str) -> int:
    """Insert a row into each table that takes one; return how many there are."""
    fuzz.use(database, owner=True)
    catalog = read_catalog(connection)
    target = Target(connection, catalog, [], 0)
    # Which is a number, and JSON, too.
    texts = {"text", "character varying"}
    values = {
        table.name: {
            column.name: "'1'" for column in table.columns if column.type.partition("(")[0] in texts
        }
        for table in target.tables.values()
    }
    operations: Any = connection.ops
    loader = MigrationExecutor(connection).loader
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    for name, own in own_defaults(loader.project_state(applied).apps.get_models()).items():
        written = {column: operations.compose_sql("%s", [own[column]]) for column in own}
        values[name] = values.get(name, {}) | written
    filled: set[str] = set()
    # A table takes one once those have one that it refers to.
    for _ in range(4):
        for name, table in target.tables.items():
            statement = None if name in filled else target.row(table, None, values[name])
            if statement:
                with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(statement)
                    filled.add(name)
    connection.close()
    return len(filled)


def own_defaults(models: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """Return what an application writes that says nothing else: by table and column."""
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        for field in model._meta.local_concrete_fields:
            if not field.has_default() or field.is_relation:
                continue
            value = field.get_db_prep_save(field.get_default(), connection)
            # Some say `default=None` of what must be given.
            if value is not None or field.null:
                found.setdefault(model._meta.db_table, {})[field.column] = value
    return found


def ask(mode: str) -> tuple[dict[str, Any], float]:
    """Return preflight's report on the case, and how many seconds it took."""
    fuzz.use(CASE, owner=True)
    out, started = io.StringIO(), time.monotonic()
    options = {"format": "json", "rehearse": mode, "verbosity": 0}
    try:
        call_command("preflight_migrate", stdout=out, stderr=out, **options)
    except CommandError as error:
        if error.returncode == INTERRUPTED:
            raise KeyboardInterrupt from None
    connection.close()
    return parsed(out.getvalue()), time.monotonic() - started


def migrate() -> str:
    """Run the real migrate on the case; return its words where it failed."""
    fuzz.use(CASE, owner=True)
    words = fuzz.migrate([])
    connection.close()
    return words or ""


def prepare() -> list[State]:
    """Make the owner, and return the states of the project."""
    fuzz.admin()
    fuzz.make_owner()
    steps = fuzz.history()
    return states_of(steps, MigrationExecutor(connection).loader.graph)


def judge(modes: Sequence[str]) -> Outcome:
    """Ask about the case in each mode, then migrate it."""
    answers = {mode: isolated(ask, mode) for mode in modes}
    failure = isolated(migrate)
    return Outcome(
        reports={mode: report for mode, (report, _) in answers.items()},
        seconds={mode: seconds for mode, (_, seconds) in answers.items()},
        failure=failure,
    )


def outcomes(states: list[State], modes: Sequence[str]) -> Iterator[tuple[State, int, Outcome]]:
    """Build each state, with rows where migrate takes them, and yield what came of it."""
    copy(BASE, "template0")
    shared = [set(state.applied) for state in states if state.applied]
    if shared:
        inner = set.intersection(*shared)
        longest = max(states, key=lambda state: len(state.applied)).applied
        isolated(build, BASE, [step for step in longest if step in inner])
    for state in states:
        copy(STATE, BASE if state.applied else "template0")
        isolated(build, STATE, list(state.applied))
        for with_rows in (True, False):
            copy(CASE, STATE)
            rows = isolated(fill, CASE) if with_rows and state.applied else 0
            outcome = judge(modes)
            yield state, rows, outcome
            # What a made-up row makes fail is judged, and is no healthy state.
            if not outcome.failure or not rows:
                break


def copy(name: str, template: str) -> None:
    """Make the database anew as a copy of another one."""
    isolated(
        fuzz.admin,
        f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
        f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}",
    )


def main() -> int:
    """Print a line for each state and the sums; 0 where no verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", help="only the states whose name has this in it (a regular expression)"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the reports")
    parser.add_argument("--mode", choices=MODES, action="append", help="default: both")
    options = parser.parse_args()
    modes = options.mode or MODES
    os.environ.setdefault("OPSMIGRATE_ENVIRONMENT", "production")
    django.setup()
    fuzz.SUPERUSER = connection.settings_dict["USER"]
    states = isolated(prepare)
    total = max(len(state.applied) for state in states)
    if options.only:
        states = [state for state in states if re.search(options.only, state.name)]
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    try:
        for number, (state, rows, outcome) in enumerate(outcomes(states, modes)):
            tell(state, total, rows, outcome)
            for mode in modes:
                wrong += outcome.wrong(mode)
                if not outcome.failure:
                    counts[mode, outcome.verdict(mode)] += 1
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    report = json.dumps(outcome.reports[mode], indent=1)
                    (options.keep / f"{number}-{mode}.json").write_text(report)
    finally:
        drop = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
        isolated(fuzz.admin, *map(drop.format, (BASE, STATE, CASE)))
    for mode in modes:
        of_mode = {verdict: n for (each, verdict), n in sorted(counts.items()) if each == mode}
        print(f"rehearse {mode}: {of_mode}")
    print(f"wrong: {wrong}")
    return 1 if wrong else 0


def tell(state: State, total: int, rows: int, outcome: Outcome) -> None:
    """Print what came of a state, and why a mode left it open."""
    verdicts = "; ".join(
        f"{mode} {outcome.verdict(mode)} in {outcome.seconds[mode]:.0f} s"
        for mode in outcome.reports
    )
    pending = total - len(state.applied)
    real = f"failed: {outcome.failure[:200]}" if outcome.failure else "applied"
    print(f"{state.name} ({pending} pending, {rows} rows): {verdicts}; migrate {real}", flush=True)
    for mode, report in outcome.reports.items():
        if report["verdict"] == "passed":
            continue
        whys = [item["why"] for item in report["undecided"]]
        ids = [
            f"{item['id']}: {item['message']}"
            for item in report["findings"]
            if item["severity"] == Severity.ERROR
        ]
        for words, number in [*Counter(whys).most_common(), *Counter(ids).most_common()]:
            print(f"    {mode}: {number} x {words}", flush=True)


if __name__ == "__main__":
    sys.exit(fuzz.interruptibly(main))
