"""One try: the process that migrates, started, watched and ended by the command."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.pgtools.project_process import project_environment
from opsmigrate.pgtools.run import dying_with_us, end
from opsmigrate.playbook.child_output import ChildOutput
from opsmigrate.playbook.fingerprints import Fingerprint
from opsmigrate.playbook.time_limits import TimeLimits
from opsmigrate.preflight.plan import MigrateArguments

CHILD = "opsmigrate.playbook.migrate_child"
SECONDS_BETWEEN_LOOKS = 0.25
PLACE = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a try did not come to its end, in the words of its process.

    `kind` is error (of the migration), ended (the process was killed, or could not start),
    plan-changed or another-database. `lasting` says that something of the migration stays, or may.
    """

    kind: str
    words: str
    migration: str | None = None
    operation: str | None = None
    after_the_plan: bool = False
    atomic: bool = True
    lasting: bool = False
    error: str | None = None
    sqlstate: str | None = None


@dataclass(frozen=True, kw_only=True)
class Try:
    """What the process is to do."""

    identity: Sequence[str]
    target: MigrateArguments
    plan: Sequence[Fingerprint]
    limits: TimeLimits
    verbosity: int


def run_try(
    connection: BaseDatabaseWrapper,
    job: Try,
    *,
    look: Callable[[], None],
    say: Callable[[str], None],
) -> Failure | None:
    """Run `migrate` in a process of its own; return why it failed, None where it did not.

    `look` is called again and again meanwhile, `say` with each line that the project prints.
    Whatever happens, the process has ended afterwards; what it had begun on the server may not.
    """
    with tempfile.TemporaryFile() as words:
        child = subprocess.Popen(
            [*dying_with_us(), sys.executable, "-m", CHILD],
            env=project_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Not ours: a terminal that is gone must not make a migration fail.
            stderr=words,
            close_fds=True,
            # Ctrl-C on a terminal is for us; we end it.
            start_new_session=True,
        )
        told = ChildOutput(words, say)
        given: bytes | None = json.dumps(_as_json(connection, job), default=str).encode()
        seconds = SECONDS_BETWEEN_LOOKS
        try:
            while True:
                try:
                    answer, _ = child.communicate(given, timeout=seconds)
                    break
                except subprocess.TimeoutExpired:
                    given = None
                told.tell()
                look()
        except BaseException:
            end(child)
            raise
        finally:
            told.tell()
        return _failure(answer, child.returncode, told.last)


def _failure(answer: bytes, status: int, last: str) -> Failure | None:
    try:
        body: Mapping[str, Any] = json.loads(answer)
    except ValueError:
        how = f"by signal {-status}" if status < 0 else f"with {status}"
        said = f", and its last words were: {last}" if last else ""
        return Failure(kind="ended", words=f"its process ended {how}{said}", lasting=True)
    return Failure(**body["failure"]) if body["failure"] else None


def _as_json(connection: BaseDatabaseWrapper, job: Try) -> dict[str, Any]:
    return {
        "alias": connection.alias,
        "place": {key: connection.settings_dict[key] for key in PLACE},
        "identity": job.identity,
        "target": asdict(job.target),
        "plan": [astuple(each) for each in job.plan],
        "lock_timeout": job.limits.lock,
        "statement_timeout": job.limits.statement,
        "verbosity": job.verbosity,
    }
