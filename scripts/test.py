"""Check everything: lint, types, imports, and the tests on an embedded PostgreSQL."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if sys.version_info < (3, 10):  # noqa: UP036 - so that an older Python says it in a sentence
    sys.exit("opsmigrate needs Python 3.10 or newer")

from opsmigrate.pgtools.embedded import EmbeddedServerError, discard_all, running
from scripts import interpreters, processes
from scripts.environment import (
    DEMO,
    ROOT,
    Environment,
    EnvironmentProblem,
    child_environment,
    ensure,
)
from scripts.memory import in_memory
from scripts.other_majors import VERSIONS, add_major
from scripts.recorded import run_of
from scripts.skipped import SKIPPED_VARIABLE, skipped_tests
from scripts.tiers import DIAGONAL_STEP, DRIVERS, MAJORS, QUICK, TIERS, suites
from scripts.versions import keep

URL_VARIABLE = "OPSMIGRATE_TEST_DATABASE_URL"
# Where there is no place in memory.
ON_DISK = DEMO / "test-servers"
JUNIT = DEMO / "junit.xml"
SYSTEM_PROGRAMS = {
    "chromium": "apt install chromium",
    "pgbouncer": "apt install pgbouncer",
    # A server that speaks other languages; the embedded one has no translations.
    "initdb": "apt install postgresql locales",
    "localedef": "apt install locales",
    "redis-server": "apt install redis-server",
}
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
# How pytest says that no test has the marks and the names that were asked for.
NO_TESTS = "FAILED (5)"
MOST_PROCESSES = 4
# One more than there are cores: some tests wait for others, or for the time to pass.
PROCESSES = min(MOST_PROCESSES, (os.cpu_count() or 1) + 1)
# What the core tier takes on two cores, the checks of the source included.
MINUTES = "ten to twenty minutes on two cores, and a few more the first time, for pip"
# What PYTHONDEVMODE shows without its check of each piece of memory, which is for those who write
# in C and takes a sixth of the time of all Python code.
DEVELOPMENT = {"PYTHONDEVMODE": "1", "PYTHONMALLOC": "pymalloc"}


@dataclass(frozen=True)
class Result:
    """How one part went."""

    part: str
    outcome: str
    seconds: float = 0.0


@dataclass
class Session:
    """What is known so far."""

    environment: Environment
    pytest_arguments: Sequence[str]
    driver: str | None = None
    record: Path | None = None
    servers: Path = ON_DISK
    temporary: Path | None = None
    results: list[Result] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    def run(self, part: str, command: Sequence[str | Path], **variables: str) -> int:
        """Run one part with its output shown as it comes, and keep the result."""
        print(f"\n=== {part}", flush=True)
        started = time.monotonic()
        done = processes.run(command, cwd=ROOT, environment=child_environment(**variables))
        outcome = "passed" if done.returncode == 0 else f"FAILED ({done.returncode})"
        self.results.append(Result(part, outcome, time.monotonic() - started))
        return done.returncode

    def skip(self, part: str, reason: str) -> None:
        """Keep that a part could not be run."""
        self.not_run.append(f"NOT RUN: {part} because {reason}")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; what stands after -- is for pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tier",
        choices=TIERS,
        default="core",
        help="core: everything that needs only Python (default); system: the tests that need "
        "packages of the operating system; long: the tests that take long; "
        "faults: every command stopped in every way, and all that an adversary tried (25 minutes)",
    )
    parser.add_argument(
        "--major",
        type=int,
        choices=sorted(DRIVERS),
        help="run the whole suite on this PostgreSQL and nothing on another; 14, 15 and 17 are "
        "fetched first (default: the whole suite on 18 and the tests marked `major` on 16)",
    )
    parser.add_argument(
        "--python",
        metavar="VERSION",
        help="run with this Python, such as 3.13, which is on the PATH, of pyenv or of the "
        "launcher `py` (default: the one that runs this script)",
    )
    parser.add_argument(
        "--django",
        choices=interpreters.DJANGOS,
        help="run with this Django (default: the newest that pip finds for the Python)",
    )
    parser.add_argument(
        "--driver",
        choices=("psycopg2", "psycopg"),
        help="run with this driver (default: one for each PostgreSQL, so that both are tried)",
    )
    parser.add_argument(
        "--newest",
        action="store_true",
        help=f"run the tests marked `major`, and those that another Python or Django breaks first, "
        f"on PostgreSQL {MAJORS[1]} with the newest supported Python at hand and the newest Django",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="add the outcome to the JSON of docs/versions.md (see scripts/versions.py)",
    )
    parser.add_argument(
        "--tests-only",
        action="store_true",
        help="leave out what looks at the source only: ruff, mypy, import-linter",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        default=os.environ.get("CI", "").lower() in {"true", "1"},
        help="fail when something could not be run (default where CI=true is set)",
    )
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    return parser.parse_args(argv)


def make_environment(django: str | None, *, named: bool) -> Environment:
    """Return the environment with the project's requirements and the tools that check it.

    One with a Django or Python that was asked for has a folder of its own.
    """
    wanted = ["-r", "requirements.txt", "-e", ".[dev]"]
    name = "test-venv"
    if named:
        name += f"-{interpreters.own_version()}"
    if django:
        name += f"-django-{django}"
        wanted.append(f"django=={django}.*")
    return ensure(DEMO / name, wanted, files=[ROOT / "requirements.txt", ROOT / "pyproject.toml"])


def run_static_checks(session: Session) -> None:
    """Run what looks at the source only."""
    program = session.environment.program
    session.run("ruff check", [program("ruff"), "check", "."])
    session.run("ruff format", [program("ruff"), "format", "--check", "."])
    session.run("mypy", [program("mypy")])
    session.run("import-linter", [program("lint-imports")])


def run_suite(session: Session, part: str, marks: str, url: str, driver: str) -> None:
    """Run the tests that have these marks against one server, or several of one kind."""
    skipped = DEMO / "skipped.json"
    skipped.unlink(missing_ok=True)
    python = str(session.environment.python)
    command = [python, "-m", "pytest", "-m", marks]
    if (processes_wanted := len(url.split())) > 1:
        command += [f"--numprocesses={processes_wanted}", "--dist=loadfile"]
    if session.record:
        JUNIT.unlink(missing_ok=True)
        command.append(f"--junit-xml={JUNIT}")
    variables = {
        URL_VARIABLE: url,
        SKIPPED_VARIABLE: str(skipped),
        "OPSMIGRATE_TEST_DRIVER": driver,
        "PATH": search_path(),
        **DEVELOPMENT,
    }
    if session.temporary is not None:
        # What a failed test leaves stays on the disk, to be looked at.
        kept = os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        variables |= {"TMPDIR": str(session.temporary), "PYTEST_DEBUG_TEMPROOT": kept}
    session.run(part, [*command, *session.pytest_arguments], **variables)
    for name, reason in skipped_tests(skipped):
        session.skip(f"{name} ({part})", reason)


def search_path() -> str:
    """Return PATH with the folders that an ordinary user's lacks: servers are installed there."""
    path = os.environ.get("PATH", os.defpath)
    return path if sys.platform == "win32" else f"{path}:{SYSTEM_FOLDERS}"


def run_tests(session: Session, tier: str, major: int | None) -> None:
    """Run the tier's tests on every PostgreSQL that it is for."""
    missing = list(missing_programs(tier))
    if missing:
        session.skip(f"pytest ({tier})", " and ".join(missing))
        return
    url = os.environ.get(URL_VARIABLE)
    for number, (each, marks) in enumerate(suites(tier, major)):
        driver = session.driver or DRIVERS[each]
        part = f"pytest ({tier}) on PostgreSQL {each}, {driver}"
        part += ", marked major" if number else ""
        if url and number:
            session.skip(part, f"{URL_VARIABLE} names one server")
        elif url:
            given = f"pytest ({tier}) on the server of {URL_VARIABLE}"
            run_suite(session, given, marks, url, driver)
        else:
            run_embedded(session, part, marks, each, driver)
        if number and session.results and session.results[-1].outcome == NO_TESTS:
            session.results.pop()


def run_embedded(session: Session, part: str, marks: str, major: int, driver: str) -> None:
    """Run tests on an embedded server, or keep why there is none."""
    packages = [str(session.environment.packages)]
    try:
        if major in VERSIONS:
            add_major(session.environment, major)
        with ExitStack() as stack:
            servers = [
                stack.enter_context(running(folder, major=major, durable=False, search=packages))
                for folder in server_folders(session.servers, part)
            ]
            urls = " ".join(server.url for server in servers)
            run_suite(session, part, marks, urls, driver)
            if session.record:
                keep_run(session, session.record, servers[0].bindir / "postgres", driver, part)
    except (EmbeddedServerError, EnvironmentProblem) as error:
        session.skip(part, str(error))


def keep_run(session: Session, file: Path, postgres: Path, driver: str, part: str) -> None:
    """Add the outcome of the tests that have just ended to a file."""
    tests = " ".join(session.pytest_arguments) or part.partition(" on ")[0]
    environment = session.environment
    run = run_of(JUNIT, environment, driver=driver, postgres=postgres, tests=tests)
    keep(run, file)


def server_folders(servers: Path, part: str) -> list[Path]:
    """Return a folder for the server of each process: on one they would see each other's work."""
    side_by_side = "(core)" in part or "(faults)" in part
    count = PROCESSES if side_by_side else 1
    return [servers / str(number) for number in range(count)]


def installed(program: str) -> bool:
    """Return whether a server's program is where Debian's packages put it, which is on no PATH."""
    return any(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))


def missing_programs(tier: str) -> Iterator[str]:
    """Yield what the tier needs and this machine has not."""
    if tier == "system":
        for program, remedy in SYSTEM_PROGRAMS.items():
            if shutil.which(program, path=search_path()) is None and not installed(program):
                yield f"{program} is not installed ({remedy})"


def summary(session: Session) -> str:
    """Return the final table, and what was not run under it."""
    width = max((len(result.part) for result in session.results), default=0)
    lines = [
        f"{result.part:<{width}}  {result.seconds:7.1f} s  {result.outcome}"
        for result in session.results
    ]
    return "\n".join(["", "=== summary", *lines, *session.not_run])


def exit_code(session: Session, *, strict: bool) -> int:
    """Return 1 if a part failed or, where that matters, could not be run."""
    failed = any(not result.outcome.startswith("passed") for result in session.results)
    return 1 if failed or (strict and session.not_run) else 0


def check(options: argparse.Namespace) -> int:
    """Run every part of the tier, also after one has failed."""
    environment = make_environment(options.django, named=options.python is not None)
    with in_memory(ROOT) as memory:
        session = Session(environment, options.pytest, options.driver, options.record)
        if memory is not None:
            session.servers, session.temporary = memory / "servers", memory / "tmp"
            session.temporary.mkdir(exist_ok=True)
            # Of servers that root starts as another account, too.
            session.temporary.chmod(0o1777)
        print(beginning(session, options), flush=True)
        try:
            if options.tier == "core" and not options.tests_only:
                run_static_checks(session)
            run_tests(session, options.tier, options.major)
        finally:
            with processes.undisturbed():
                for folder in [session.servers, *session.servers.glob("[0-9]*")]:
                    discard_all(folder)
            print(summary(session), flush=True)
    return exit_code(session, strict=options.strict)


def beginning(session: Session, options: argparse.Namespace) -> str:
    """Return what is said first: on what it runs, how long it takes, how to run a part."""
    show = "import django; print(django.__version__)"
    done = processes.run(
        [session.environment.python, "-c", show],
        cwd=ROOT,
        environment=child_environment(),
        capture=True,
    )
    lines = [f"Python {sys.version.split()[0]}, Django {done.stdout.strip()}"]
    if options.tier == "core" and not options.pytest:
        lines += [
            f"Everything takes {MINUTES}.",
            "A part of the tests: python scripts/test.py -- tests/unit, or -- -k WORD",
        ]
    return "\n".join(lines)


def with_other_python(python: Path, arguments: Sequence[str]) -> int:
    """Run this script with another interpreter and return its exit code."""
    command: list[str | Path] = [python, Path(__file__).resolve(), *arguments]
    with processes.interruptible():
        done = processes.run(command, cwd=ROOT, environment=dict(os.environ))
    return done.returncode


def run_newest(options: argparse.Namespace) -> int:
    """Run on the other major with the newest Python at hand, its newest Django and psycopg 3."""
    version, python = interpreters.newest() or (interpreters.own_version(), Path(sys.executable))
    arguments = [
        f"--python={version}",
        f"--django={options.django or interpreters.django_for(version)}",
    ]
    arguments += [
        f"--major={options.major or MAJORS[1]}",
        f"--driver={options.driver or 'psycopg'}",
    ]
    arguments += ["--tests-only", *(["--strict"] if options.strict else [])]
    marks = ["-m", f"(major or newest) and {QUICK}", f"--one-case-in={DIAGONAL_STEP}"]
    arguments += ["--", *marks, *options.pytest]
    return with_other_python(python, arguments)


def run_on(options: argparse.Namespace, arguments: Sequence[str]) -> int | None:
    """Run with the Python that was asked for; None where this one is it."""
    if options.newest:
        return run_newest(options)
    if options.python in (None, interpreters.own_version()):
        return None
    python = interpreters.find(options.python)
    if python is None:
        raise EnvironmentProblem(
            f"there is no Python {options.python} on the PATH, of pyenv or of the launcher `py`"
        )
    return with_other_python(python, arguments)


def main_with(arguments: Sequence[str]) -> int:
    """Run the checks that a command line asks for and return the exit code."""
    options = parse(arguments)
    try:
        other = run_on(options, arguments)
        if other is not None:
            return other
        with processes.interruptible(), processes.alone(DEMO / "test.lock") as free:
            if free:
                return check(options)
            print("another run of scripts/test.py is under way here", file=sys.stderr)
    except (EnvironmentProblem, EmbeddedServerError, OSError) as problem:
        print(problem, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been stopped", file=sys.stderr)
        return processes.INTERRUPTED
    return 1


if __name__ == "__main__":
    sys.exit(main_with(sys.argv[1:]))
