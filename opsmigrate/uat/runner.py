"""Run the checks, one after the other, on a database session that cannot write."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Queue

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings
from opsmigrate.postgres.errors import first_line
from opsmigrate.postgres.session import second_connection, set_for_session
from opsmigrate.uat.context import Context, Failed, NotRun
from opsmigrate.uat.registry import BrokenModule, Check
from opsmigrate.uat.site import OutOfReachError, Site

# Binds whatever a thread asks of the alias, also through the ORM, to the session it is given.
Adopted = Callable[[BaseDatabaseWrapper], AbstractContextManager[None]]


class Status(str, Enum):
    """How a check ended; NOT_RUN is never a pass."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    ERROR = "ERROR"
    NOT_RUN = "NOT_RUN"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check saw."""

    id: str
    status: Status
    severity: str
    tags: tuple[str, ...]
    seconds: float
    saw: str
    evidence: str = ""
    hint: str | None = None


def run_checks(
    connection: BaseDatabaseWrapper,
    checks: Sequence[Check],
    *,
    settings: Settings,
    site: Site | None,
    adopted: Adopted,
    tell: Callable[[str], None],
) -> tuple[Outcome, ...]:
    """Return the outcome of each check; one that hangs is left behind at its time-out."""
    outcomes = []
    for check in checks:
        tell(check.id)
        run = partial(_run, connection, check, settings, site, adopted)
        outcomes.append(_run_in_time(check, run))
    return tuple(outcomes)


def outcome_of(broken: BrokenModule) -> Outcome:
    """Return the ERROR that a uat.py which cannot be imported is."""
    return Outcome(
        id=f"import {broken.module}",
        status=Status.ERROR,
        severity="blocker",
        tags=(),
        seconds=0.0,
        saw=f"{broken.module} cannot be imported: {broken.words}",
    )


def _run_in_time(check: Check, run: Callable[[], Outcome]) -> Outcome:
    answers: Queue[Outcome] = Queue()

    def work() -> None:
        answers.put(run())

    # A daemon: a check that hangs must not keep the process alive.
    thread = threading.Thread(target=work, name=f"uat {check.id}", daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(check.timeout)
    if answers.empty():
        said = f"no answer within {check.timeout:g} s"
        return _outcome(check, Status.ERROR, started, said)
    return answers.get()


def _run(
    connection: BaseDatabaseWrapper,
    check: Check,
    settings: Settings,
    site: Site | None,
    adopted: Adopted,
) -> Outcome:
    started = time.monotonic()
    try:
        with second_connection(connection) as session, adopted(session):
            session.inc_thread_sharing()
            set_for_session(
                session,
                default_transaction_read_only="on",
                statement_timeout=f"{check.timeout * 1000:.0f}ms",
            )
            saw = check.function(Context(connection=session, settings=settings, site=site))
    except Failed as failed:
        return _outcome(check, Status.FAIL, started, str(failed), failed.evidence)
    except NotRun as reason:
        return _outcome(check, Status.NOT_RUN, started, str(reason), hint=reason.hint)
    except OutOfReachError as reason:
        return _outcome(check, Status.NOT_RUN, started, str(reason))
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        return _outcome(check, Status.ERROR, started, said)
    return _outcome(check, Status.PASS, started, saw)


def _outcome(
    check: Check,
    status: Status,
    started: float,
    saw: str,
    evidence: str = "",
    hint: str | None = None,
) -> Outcome:
    return Outcome(
        id=check.id,
        status=status,
        severity=check.severity,
        tags=check.tags,
        seconds=round(time.monotonic() - started, 3),
        saw=saw,
        evidence=evidence,
        hint=hint,
    )
