"""Every supported combination of versions, each a session; CI runs the diagonal only.

    nox                                        the diagonal, as CI does
    nox --list                                 all of them
    nox -s "tests(3.13-6.1-psycopg-18)"        one; what stands after -- goes to pytest
    nox -k "3.10 or 14"                        some
    nox -s versions                            docs/versions.md from what has been run
    nox -s package                             wheel, sdist and SBOM, built and checked

Each session is a run of scripts/test.py, which makes the environment and starts the server. A run
of the whole core tier writes its result to docs/versions.json.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from scripts.versions import RESULTS, Combination, combinations  # noqa: E402 - ROOT is needed first

nox.options.default_venv_backend = "none"
nox.options.sessions = ["diagonal"]
nox.options.stop_on_first_error = False


@nox.session
def diagonal(session: nox.Session) -> None:
    """Run what another server, Python or Django breaks first on the newest of each, as CI does."""
    _run(session, "scripts/test.py", "--newest", *_for_pytest(session))


@nox.session
@nox.parametrize("combination", combinations(), ids=[each.id for each in combinations()])
def tests(session: nox.Session, combination: Combination) -> None:
    """Run the core tier on one combination, and keep the result."""
    record = [] if session.posargs else [f"--record={RESULTS}"]
    _run(session, "scripts/test.py", *combination.arguments(), *record, *_for_pytest(session))


@nox.session
def versions(session: nox.Session) -> None:
    """Write docs/versions.md from the results that have been kept."""
    _run(session, "scripts/versions.py")


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel, the sdist and the SBOM, and check them."""
    _run(session, "scripts/package.py")


def _run(session: nox.Session, *command: str) -> None:
    session.run(sys.executable, *command, external=True)


def _for_pytest(session: nox.Session) -> list[str]:
    return ["--", *session.posargs] if session.posargs else []
