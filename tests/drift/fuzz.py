"""python -m tests.drift.fuzz --cases N: preflight, then the real migrate, and the confusion tables.

Works on the project of DJANGO_SETTINGS_MODULE and on the server of its default alias, on which it
makes and drops databases named drift_SEED_* and the roles drift_owner and drift_group. The alias's
role must be a superuser: it does the damage. Preflight, once without and once with a rehearsal, and
`migrate` run as drift_owner, who owns the databases and may do no more than a usual role.

A case is made by its seed and its point: --seed SEED --cases 1 --point POINT makes it again.
"""

import argparse
import io
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import django
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from opsmigrate.management.base import INTERRUPTED
from tests.drift.case import MODES, Answer, Case, Tally
from tests.drift.mutations import WAYS, choose
from tests.drift.target import OWNER, Target
from tests.json_reports import parsed

LONGEST_PLAN = 20
SUPERUSER = ""


def use(database: str, *, owner: bool = False) -> None:
    """Point the default alias at a database, as the superuser or as the owner."""
    connection.close()
    connection.settings_dict["NAME"] = database
    connection.settings_dict["USER"] = OWNER if owner else SUPERUSER
    connection.connect()


def admin(*statements: str) -> None:
    """Execute statements in the maintenance database."""
    use("postgres")
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def history() -> list[tuple[str, str]]:
    """Return every migration in the order in which migrate applies them."""
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    plan = executor.migration_plan(leaves, clean_start=True)
    return [(migration.app_label, migration.name) for migration, _ in plan]


def make_owner() -> None:
    """Make the role that migrates, with the superuser's password, if any, and a group of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER])
        if cursor.fetchone() is None:
            password = connection.settings_dict["PASSWORD"] or "drift"
            cursor.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD %s", [password])
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'drift_group'")
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE ROLE drift_group ROLE {OWNER}")


def drop_all(prefix: str) -> None:
    """Drop the databases whose names begin so."""
    use("postgres")
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def make_points(prefix: str, steps: list[tuple[str, str]], points: list[int]) -> None:
    """Make a template database for each point of the history, and one for its end."""
    admin(f"CREATE DATABASE {prefix}now OWNER {OWNER}")
    reached = 0
    for number in [*points, len(steps)]:
        use(f"{prefix}now", owner=True)
        # Between the points, Django's executor: a command for each step takes many times as long.
        migrate_directly(steps[reached : number - 1])
        step_to(*steps[number - 1])
        reached = number
        admin(f"CREATE DATABASE {prefix}at_{number} TEMPLATE {prefix}now OWNER {OWNER}")
    admin(f"DROP DATABASE {prefix}now")


def migrate_directly(steps: list[tuple[str, str]]) -> None:
    """Apply these migrations, without what `migrate` does before and after them."""
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    executor.migrate(None, plan=[(graph.nodes[step], False) for step in steps])


def step_to(app: str, name: str) -> None:
    """Migrate one step; a project's post_migrate receivers may need the whole history."""
    try:
        call_command("migrate", app, name, verbosity=0)
    except Exception:
        if (app, name) not in MigrationRecorder(connection).applied_migrations():
            raise


class Worker:
    """Makes cases in a database of its own, one after the other."""

    def __init__(self, prefix: str, ways: list[str], modes: Sequence[str]) -> None:
        from opsmigrate.postgres.catalog import read_catalog

        self._prefix, self._ways, self._modes = prefix, ways, modes
        self._database = f"{prefix}case_{os.getpid()}"
        admin()
        self._steps = history()
        use(f"{prefix}at_{len(self._steps)}")
        self._later = read_catalog(connection)

    def run(self, seed: int, point: int) -> Case | None:
        """Damage a copy of the point, ask preflight, then migrate; None without any damage."""
        last = point + LONGEST_PLAN
        target = self._steps[last - 1] if last < len(self._steps) else None
        admin(
            f"DROP DATABASE IF EXISTS {self._database} WITH (FORCE)",
            f"CREATE DATABASE {self._database} TEMPLATE {self._prefix}at_{point} OWNER {OWNER}",
        )
        use(self._database)
        found = Target(connection, self._later, pending(target), seed)
        damage = damaged(found, 1 + seed % 2, self._ways)
        if not damage:
            return None
        return judge(self._database, seed, point, damage, list(target or ()), self._modes)


WORKER: list[Worker] = []


def begin_work(superuser: str, prefix: str, ways: list[str], modes: Sequence[str]) -> None:
    """Let this process make cases."""
    global SUPERUSER
    django.setup()
    SUPERUSER = superuser
    WORKER[:] = [Worker(prefix, ways, modes)]


def work(seed: int, point: int) -> Case | None:
    """Make one case in a process that has begun to work."""
    return WORKER[0].run(seed, point)


def damaged(target: Target, times: int, ways: list[str]) -> list[str]:
    """Do so many of the named kinds of damage to the open database; return what was done."""
    damage = []
    for _ in range(times):
        name, statements = choose(target, ways)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    damage.append(f"{name}: {statement}")
        except DatabaseError:
            continue
    return damage


def judge(
    database: str,
    seed: int,
    point: int,
    damage: list[str],
    arguments: list[str],
    modes: Sequence[str] = MODES,
) -> Case:
    """Ask preflight about the database, then migrate it."""
    use(database, owner=True)
    return Case(
        seed=seed,
        point=point,
        damage=tuple(damage),
        answers={mode: ask(arguments, mode) for mode in modes},
        failure=migrate(arguments),
    )


def pending(target: tuple[str, str] | None) -> list[tuple[str, Any]]:
    """Return (app label, operation) of everything that is to be applied."""
    executor = MigrationExecutor(connection)
    nodes = [target] if target else executor.loader.graph.leaf_nodes()
    return [
        (migration.app_label, part)
        for migration, _ in executor.migration_plan(nodes)
        for operation in migration.operations
        for part in getattr(operation, "database_operations", [operation])
    ]


def ask(arguments: list[str], rehearse: str) -> Answer:
    """Return what preflight says.

    Raises KeyboardInterrupt where a signal ended it.
    """
    out, started = io.StringIO(), time.monotonic()
    options = {"format": "json", "rehearse": rehearse, "verbosity": 0}
    try:
        call_command("preflight_migrate", *arguments, stdout=out, stderr=out, **options)
    except CommandError as error:
        # A command makes a report of the signal that ends it; whoever calls it goes on otherwise.
        if error.returncode == INTERRUPTED:
            raise KeyboardInterrupt from None
    report = parsed(out.getvalue())
    errors = [item for item in report["findings"] if item["severity"] == "error"]
    ids = ", ".join(item["id"] for item in errors)
    # An error, too, may leave it undecided: where no copy can be made, say.
    reasons = [item["why"] for item in report["undecided"]]
    if report["verdict"] == "undecided" and not reasons:
        reasons = [f"{item['id']}: {item['message']}" for item in errors]
    return Answer(
        verdict=str(report["verdict"]),
        words=f"{report['facts'].get('summary')} [{ids}]",
        open=tuple(reasons),
        seconds=time.monotonic() - started,
    )


def migrate(arguments: list[str]) -> str | None:
    """Run the real migrate; return its words where it did not apply."""
    try:
        call_command("migrate", *arguments, verbosity=0, interactive=False)
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        # Where a deferred statement fails, Django leaves the transaction open.
        connection.close()
        connection.connect()
    return None


def cases(options: argparse.Namespace, prefix: str) -> Iterator[Case | None]:
    """Make the points, and yield the cases as they are done, in any order."""
    steps = history()
    chooser = random.Random(options.seed)  # noqa: S311 - a repeatable choice, not a secret
    earliest = max(1, len(steps) - LONGEST_PLAN) if options.to_end else 1
    span = range(earliest, len(steps))
    points = sorted(chooser.sample(span, min(options.points, len(span))))
    points = [options.point] if options.point else points
    make_points(prefix, steps, points)
    begin = (SUPERUSER, prefix, options.ways, options.modes)
    seeds = range(options.seed, options.seed + options.cases)
    chosen = [(seed, chooser.choice(points)) for seed in seeds]
    if options.jobs == 1:
        begin_work(*begin)
        yield from (work(*each) for each in chosen)
        return
    # Each in a process that has loaded the project itself, as it would run.
    pool = ProcessPoolExecutor(
        options.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=begin_work,
        initargs=begin,
    )
    connection.close()
    try:
        for done in as_completed([pool.submit(work, *each) for each in chosen]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def main() -> int:
    """Run the cases, print what was wrong and the table; 0 where no verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--point", type=int, help="only this one, to make a case again")
    parser.add_argument("--jobs", type=int, default=1, help="so many cases at a time")
    parser.add_argument(
        "--to-end", action="store_true", help="start near the end, and migrate to it every time"
    )
    parser.add_argument(
        "--ways", type=lambda text: text.split(","), default=[], help="only these kinds of damage"
    )
    parser.add_argument(
        "--only-explain", action="store_const", dest="modes", const=("off",), default=MODES
    )
    options = parser.parse_args()
    if unknown := set(options.ways) - set(WAYS):
        parser.error(f"no such way: {', '.join(sorted(unknown))}; there are: {', '.join(WAYS)}")
    django.setup()
    global SUPERUSER
    SUPERUSER = connection.settings_dict["USER"]
    # Runs with other seeds may be at work on the same server.
    prefix = f"drift_{options.seed}_"
    admin()
    make_owner()
    drop_all(prefix)
    tally, started = Tally(), time.monotonic()
    try:
        for case in cases(options, prefix):
            if case is not None:
                tally.add(case)
    finally:
        drop_all(prefix)
        code = tally.report(time.monotonic() - started)
    return code


def interruptibly(main: Callable[[], int]) -> int:
    """Run it, and let Ctrl-C and SIGTERM end it with 130 where they come."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(interruptibly(main))
