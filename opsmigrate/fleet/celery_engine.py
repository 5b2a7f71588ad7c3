"""A fleet on the project's own Celery: its app, its broker, its workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError, UsageError
from opsmigrate.fleet.claims import claimed
from opsmigrate.fleet.dispatch import Dispatch, Progress, QueueUnreachable
from opsmigrate.fleet.shared_place import SharedPlace
from opsmigrate.fleet.unit import Unit
from opsmigrate.steps import command

if TYPE_CHECKING:
    from celery import Celery

# The command keeps to its own budget, and its worker looks after that: delivery.py. These end what
# hangs elsewhere, in a file system for instance.
SECONDS_OVER_BUDGET_SOFT, SECONDS_OVER_BUDGET_HARD = 60.0, 90.0
SECONDS_TO_ANSWER = 2.0
TRIES = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 1.0}
INSTALL = command("pip install 'opsmigrate[fleet]'")


def celery_app() -> Celery:
    """Return the project's Celery app: the one that it made current.

    Raises UsageError where Celery is not installed, or the project has no app.
    """
    try:
        from celery import _state, current_app
    except ModuleNotFoundError as error:
        raise UsageError(
            "--engine celery needs Celery, which is not installed",
            id="no-celery",
            hint="install it",
            steps=(INSTALL,),
        ) from error
    if _state.default_app is None:
        raise UsageError(
            "--engine celery needs the project's Celery app, and this process has none",
            id="no-celery",
            hint="import the app in the __init__.py of the project's package, as Celery's page "
            "about Django says",
        )
    return current_app._get_current_object()


def run_on_celery(  # noqa: PLR0913 - the parts of a run
    units: Sequence[Unit],
    place: SharedPlace,
    *,
    connection_of: Callable[[str], BaseDatabaseWrapper],
    at_most: Callable[[str], int],
    seconds: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Dispatch:
    """Return the run of the units on the project's Celery; its outcomes() does the work.

    `place` is what the workers see too. `connection_of` returns the connection of an alias,
    `at_most` says how many units may be on their way at a time on a server, `seconds` how long a
    unit may take. Raises UsageError without Celery or an app, UndecidedError where the broker
    cannot be reached or no worker knows the task.
    """
    queue = CeleryQueue(celery_app(), seconds)
    for line in remarks(queue):
        say(line)
    return Dispatch(
        units,
        place,
        queue,
        at_most=at_most,
        claimed=lambda each: _claimed(each, connection_of),
        seconds=seconds,
        say=say,
        progress=progress,
    )


def remarks(queue: CeleryQueue) -> Iterator[str]:
    """Yield what is to be known of the workers before anything is sent.

    Raises UndecidedError where the broker cannot be reached or no worker knows the task.
    """
    try:
        workers = queue.workers()
    except QueueUnreachable as error:
        raise UndecidedError(str(error), id="no-broker", hint="start the broker") from error
    if not workers:
        yield (
            "no Celery worker answers; the units wait in the queue until one is started: "
            "celery -A PROJECT worker --prefetch-multiplier 1"
        )
    without = sorted(worker.name for worker in workers if not worker.knows_the_task)
    if without and len(without) == len(workers):
        raise UndecidedError(
            f"no worker knows the task {queue.name}: {', '.join(without)}",
            id="workers-without-task",
            hint="install opsmigrate[fleet] where they run, have opsmigrate in INSTALLED_APPS and "
            "autodiscover_tasks() in the app, and start them again",
        )
    for name in without:
        yield f"the worker {name} does not know the task {queue.name}, and throws it away"
    for worker in workers:
        if worker.prefetched > worker.processes:
            yield (
                f"the worker {worker.name} takes {worker.prefetched} units at a time and works on "
                f"{worker.processes}: the others wait for it; start it with --prefetch-multiplier 1"
            )


def _claimed(
    units: Collection[Unit], connection_of: Callable[[str], BaseDatabaseWrapper]
) -> set[str]:
    """Return the labels of the units that somebody works on; all, where a server cannot say it."""
    by_alias: dict[str, list[Unit]] = {}
    for unit in units:
        by_alias.setdefault(unit.target.alias, []).append(unit)
    found: set[str] = set()
    for alias, each in by_alias.items():
        try:
            found |= claimed(connection_of(alias), each)
        except DatabaseError:
            found |= {unit.target.label for unit in each}
    return found


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker that answered: how many units it takes, and how many it works on, at a time."""

    name: str
    knows_the_task: bool
    prefetched: int
    processes: int


class CeleryQueue:
    """The queue that the project's app sends the task of a fleet to."""

    def __init__(self, app: Celery, seconds: float | None) -> None:
        """Take the app, and how many seconds a unit may take."""
        from opsmigrate.fleet.tasks import NAME, run

        self._app, self._task, self.name = app, run, NAME
        self._limits: dict[str, float] = {}
        if seconds is not None:
            self._limits = {
                "soft_time_limit": seconds + SECONDS_OVER_BUDGET_SOFT,
                "time_limit": seconds + SECONDS_OVER_BUDGET_HARD,
            }

    def send(self, unit: Unit) -> None:
        """Send the unit; raise QueueUnreachable where that cannot be done now."""
        from kombu.exceptions import OperationalError

        try:
            self._task.apply_async(
                args=[unit.run_id, unit.target.label],
                app=self._app,
                retry=True,
                retry_policy=TRIES,
                **self._limits,
            )
        except OperationalError as error:
            raise QueueUnreachable(self._unreachable()) from error

    def waiting(self) -> int | None:
        """Return how many messages no worker has taken yet, None where that is not known."""
        try:
            route = self._app.amqp.router.route({}, self.name)
            queue = route.get("queue") or self._app.conf.task_default_queue
            with self._app.connection_for_read() as connection:
                declared = connection.default_channel.queue_declare(
                    queue=getattr(queue, "name", queue), passive=True
                )
                return int(declared.message_count)
        except Exception:
            # Each transport has errors of its own; a queue that was never declared is one too.
            return None

    def workers(self) -> list[Worker]:
        """Return the workers that answer in time; raise QueueUnreachable."""
        from kombu.exceptions import OperationalError

        try:
            with self._app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=TRIES["max_retries"], interval_start=0)
            inspect = self._app.control.inspect(timeout=SECONDS_TO_ANSWER)
            registered = inspect.registered() or {}
            stats = inspect.stats() or {}
        except OperationalError as error:
            raise QueueUnreachable(self._unreachable()) from error
        return [
            Worker(
                name=name,
                knows_the_task=any(each.split()[0] == self.name for each in tasks),
                prefetched=int(stats.get(name, {}).get("prefetch_count") or 0),
                processes=int(stats.get(name, {}).get("pool", {}).get("max-concurrency") or 1),
            )
            for name, tasks in sorted(registered.items())
        ]

    def _unreachable(self) -> str:
        # as_uri() leaves the password out.
        return f"the broker {self._app.connection_for_write().as_uri()} cannot be reached"
