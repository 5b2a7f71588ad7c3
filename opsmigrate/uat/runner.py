"""Run the checks side by side, each in a thread and on a database session that cannot write."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings
from opsmigrate.postgres.cancellation import cancel
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.session import read_only_thread, second_connection, set_for_session
from opsmigrate.steps import Step
from opsmigrate.uat.baseline.record import Baseline
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Evidence, Failed, NotRun, Outcome, Status
from opsmigrate.uat.registry import BrokenModule, CheckDefinition
from opsmigrate.uat.site import Login, OutOfReachError, Site, Visitor

JOBS = 4
STATEMENTS_KEPT = 30
TRANSACTION_WORDS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
LONGEST_STATEMENT = 2_000
ANSWERS_KEPT = 12
LONGEST_EXCERPT = 200

# Binds whatever a thread asks of the alias, also through the ORM, to the session it is given.
Adopted = Callable[[BaseDatabaseWrapper], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class RunResources:
    """What the checks of one run have in common."""

    connection: BaseDatabaseWrapper
    settings: Settings
    site: Site | None
    login: Login | None
    baseline: Baseline | None
    adopted: Adopted
    no_site: NotRun


@dataclass
class _Running:
    """A check on its way: when it must have answered, and the session to cancel if it has not."""

    check: CheckDefinition
    origin: float
    started: float = field(default_factory=time.monotonic)
    session: BaseDatabaseWrapper | None = None
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        return self.started + self.check.timeout


def run_checks(
    checks: Sequence[CheckDefinition],
    resources: RunResources,
    *,
    jobs: int,
    tell: Callable[[str], None],
) -> tuple[Outcome, ...]:
    """Return the outcome of each check, in their order; one that hangs is left behind."""
    origin = time.monotonic()
    answers: Queue[tuple[int, Outcome]] = Queue()
    # What may take long begins first, so that it does not end alone.
    waiting = deque(sorted(enumerate(checks), key=lambda each: -each[1].timeout))
    running: dict[int, _Running] = {}
    done: dict[int, Outcome] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            number, check = waiting.popleft()
            tell(check.id)
            running[number] = _Running(check, origin)
            _start(number, running[number], resources, answers)
        patience = min(item.deadline for item in running.values()) - time.monotonic()
        with suppress(Empty), _cancelled_with_us(running):
            number, outcome = answers.get(timeout=max(patience, 0))
            if running.pop(number, None):
                done[number] = outcome
        for number, item in list(running.items()):
            if time.monotonic() >= item.deadline:
                done[number] = _left_behind(running.pop(number))
    return tuple(done[number] for number in range(len(checks)))


@contextmanager
def _cancelled_with_us(running: Mapping[int, _Running]) -> Iterator[None]:
    """Cancel the statements of the checks that run where an interrupt ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        for item in running.values():
            if item.session is not None:
                cancel(item.session)
        raise


def outcome_of(broken: BrokenModule) -> Outcome:
    """Return the ERROR that a uat.py which cannot be imported is."""
    return Outcome(
        id=f"import {broken.module}",
        status=Status.ERROR,
        severity="blocker",
        tags=(),
        seconds=0.0,
        message=f"{broken.module} cannot be imported: {broken.words}",
    )


def _start(
    number: int,
    item: _Running,
    resources: RunResources,
    answers: "Queue[tuple[int, Outcome]]",
) -> None:
    def work() -> None:
        answers.put((number, _run(item, resources)))

    # A daemon: a check that hangs must not keep the process alive.
    threading.Thread(target=work, name=f"uat {item.check.id}", daemon=True).start()


def _left_behind(item: _Running) -> Outcome:
    session = item.session
    if session is not None and session.connection is not None:
        cancel(session)
    return _outcome(item, Status.ERROR, f"no answer within {item.check.timeout:g} s")


def _run(item: _Running, resources: RunResources) -> Outcome:
    if "site" in item.check.needs and resources.site is None:
        reason = resources.no_site
        return _outcome(item, Status.NOT_RUN, str(reason), hint=reason.hint, steps=reason.steps)
    site = resources.site
    visitor = Visitor(site, login=resources.login) if site else None
    try:
        with (
            read_only_thread(),
            second_connection(resources.connection) as session,
            resources.adopted(session),
        ):
            # Kept open however old it grows: the session's settings would be lost with it.
            session.settings_dict["CONN_MAX_AGE"] = None
            session.inc_thread_sharing()
            timeout = f"{item.check.timeout * 1000:.0f}ms"
            set_for_session(session, statement_timeout=timeout)
            session.execute_wrappers.append(_recorder(item))
            item.session = session
            context = Context(
                connection=session,
                settings=resources.settings,
                site=site,
                visitor=visitor,
                baseline=resources.baseline,
                no_site=resources.no_site,
                evidence=item.evidence,
            )
            with nullcontext() if is_ours(item.check) else project_search_path(session):
                message = item.check.function(context)
    except Failed as failed:
        return _failed(item, failed, visitor)
    except NotRun as reason:
        return _outcome(
            item,
            Status.NOT_RUN,
            str(reason),
            visitor,
            hint=reason.hint,
            steps=reason.steps,
            required=not reason.optional,
        )
    except OutOfReachError as unanswered:
        return _outcome(item, Status.NOT_RUN, str(unanswered), visitor)
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        return _outcome(item, Status.ERROR, said, visitor)
    if not isinstance(message, str) or not message.strip():
        said = "the check did not return a sentence that says what it observed"
        return _outcome(item, Status.ERROR, said, visitor)
    return _outcome(item, Status.PASS, message, visitor)


def _failed(item: _Running, failed: Failed, visitor: Visitor | None) -> Outcome:
    """Return the failure; where this run itself serves the site, with what its code raised."""
    served = visitor.site.served if visitor else None
    crash = served.crash_behind(str(failed)) if served else None
    if crash is None:
        return _outcome(
            item,
            Status.FAIL,
            str(failed),
            visitor,
            detail=failed.evidence,
            hint=failed.hint,
            steps=failed.steps,
        )
    if crash.wrote:
        said = (
            f"{crash.path} tried to write to the database, which the site that this run serves may "
            f"not do: {crash.words} ({failed})"
        )
        hint = "give the address of the running site with --base-url"
        return _outcome(item, Status.NOT_RUN, said, visitor, hint=hint)
    return _outcome(item, Status.FAIL, str(failed), visitor, detail=crash.words)


def is_ours(check: CheckDefinition) -> bool:
    """Return whether the check is built in: what it asks itself needs no name of the project."""
    return check.function.__module__.startswith("opsmigrate.")


def _recorder(item: _Running) -> Callable[..., Any]:
    def record(execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
        started = time.monotonic()
        try:
            return execute(statement, params, many, context)
        finally:
            # Parameters are left out: they may be personal data.
            words = _words(statement, context["connection"])
            seconds = time.monotonic() - started
            asks = not words.startswith(TRANSACTION_WORDS)
            if asks and sum(each.kind == "sql" for each in item.evidence) < STATEMENTS_KEPT:
                item.evidence.append(Evidence(kind="sql", title="", text=words, seconds=seconds))

    return record


def _words(statement: Any, connection: BaseDatabaseWrapper) -> str:
    composed = hasattr(statement, "as_string")
    text = statement.as_string(connection.connection) if composed else str(statement)
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_STATEMENT else f"{words[:LONGEST_STATEMENT]} …"


def _outcome(  # noqa: PLR0913 - the parts of an outcome
    item: _Running,
    status: Status,
    message: str,
    visitor: Visitor | None = None,
    *,
    detail: str = "",
    hint: str | None = None,
    steps: tuple[Step, ...] = (),
    required: bool = True,
) -> Outcome:
    answers = [
        Evidence(
            kind="http",
            title=f"{answer.status} {answer.url}",
            text=answer.text[:LONGEST_EXCERPT],
            seconds=answer.seconds,
        )
        for answer in (visitor.answers if visitor else [])[:ANSWERS_KEPT]
    ]
    return Outcome(
        id=item.check.id,
        status=status,
        severity=item.check.severity,
        tags=item.check.tags,
        started=round(item.started - item.origin, 3),
        seconds=round(time.monotonic() - item.started, 3),
        message=message,
        detail=detail,
        evidence=(*item.evidence, *answers),
        retried=tuple(visitor.retried) if visitor else (),
        hint=hint,
        steps=steps,
        required=required,
    )
