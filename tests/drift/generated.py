"""python -m tests.drift.generated --cases N: as tests.drift.fuzz, on made-up apps and histories.

For each seed an app of random models with a random history, applied to a random point of it, rows
of random values, and in half of the cases a damaged database. The same seed makes the same case.
"""

import argparse
import importlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.conf import settings
from django.db import DatabaseError, connection

from tests.drift import fuzz
from tests.drift.case import MODES, Case, Tally
from tests.drift.target import Target

APP = "zoo"
CASE, LATER = "drift_made_case", "drift_made_later"


@contextmanager
def written(package: str, files: dict[str, str]) -> Iterator[Path]:
    """Give the app the migrations of these files, in a new package that this process can import."""
    with tempfile.TemporaryDirectory(prefix="drift") as folder:
        place = Path(folder) / package
        place.mkdir()
        for name, text in {"__init__": "", **files}.items():
            (place / f"{name}.py").write_text(text)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        settings.MIGRATION_MODULES = {APP: package}
        # The rehearsal's process reads it in tests/settings.py.
        os.environ["ZOO_MIGRATIONS"] = package
        try:
            yield place
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.startswith(package)]:
                del sys.modules[name]


@contextmanager
def databases() -> Iterator[None]:
    """Make the owner, and the two databases of the cases; drop these at the end."""
    drop = [f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (CASE, LATER)]
    fuzz.admin()
    fuzz.make_owner()
    fuzz.admin(*drop, *[f"CREATE DATABASE {name} OWNER {fuzz.OWNER}" for name in (CASE, LATER)])
    try:
        yield
    finally:
        fuzz.admin(*drop)


def emptied(name: str) -> None:
    """Make a database anew, and open it as its owner: damage also leaves what no schema holds."""
    fuzz.admin(
        f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
        f"CREATE DATABASE {name} OWNER {fuzz.OWNER}",
    )
    fuzz.use(name, owner=True)


def run_case(seed: int, modes: tuple[str, ...], keep: Path | None = None) -> Case:
    """Make the app of a seed, fill and damage its database, ask preflight, then migrate."""
    from opsmigrate.postgres.catalog import read_catalog
    from tests.drift.histories import History
    from tests.drift.made_up_fields import rows

    chosen = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    history = History(seed)
    last = len(history.migrations)
    with written(f"drift_made_{seed}", history.files()):
        emptied(LATER)
        fuzz.migrate([APP])
        later = read_catalog(connection)
        emptied(CASE)
        point = _applied(history.name, chosen.randint(max(1, last - 3), last - 1))
    squashed = point if point > 1 and chosen.random() < 0.15 else 0
    done = [statement for statement in rows(chosen, read_catalog(connection)) if _taken(statement)]
    files = history.files(squashed)
    with written(f"drift_squashed_{seed}", files):
        fuzz.use(CASE)
        damage: list[str] = []
        if chosen.random() < 0.5:
            pending = fuzz.pending((APP, history.name(last)))
            damage = fuzz.damaged(Target(connection, later, pending, seed), 1, [])
        case = fuzz.judge(CASE, seed, point, damage, [APP], modes)
    if keep and case.wrong():
        _keep(keep / f"case_{seed}", files, [*done, *damage])
    return case


def _applied(name: Callable[[int], str], wanted: int) -> int:
    """Apply so many migrations, or as many as the database takes; return their number."""
    for number in range(1, wanted + 1):
        if fuzz.migrate([APP, name(number)]) is not None:
            return number - 1
    return wanted


def _taken(statement: str) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError:
        return False
    return True


def _keep(folder: Path, files: dict[str, str], statements: list[str]) -> None:
    """Write the migrations, and what was done to the database after they were applied."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "database.sql").write_text("".join(f"{text};\n" for text in statements))


def main() -> int:
    """Run the cases, print what was wrong and the table; 0 where no verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-explain", action="store_true", help="without a rehearsal")
    parser.add_argument("--keep", type=Path, help="write what was wrong into this folder")
    options = parser.parse_args()
    django.setup()
    fuzz.SUPERUSER = connection.settings_dict["USER"]
    modes = ("off",) if options.only_explain else MODES
    tally, started = Tally(), time.monotonic()
    with databases():
        for seed in range(options.seed, options.seed + options.cases):
            tally.add(run_case(seed, modes, options.keep))
    return tally.report(time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(fuzz.interruptibly(main))
