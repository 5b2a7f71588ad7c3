"""A fleet on the project's own Celery: its app, its broker, its workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError, UsageError
from opsmigrate.fleet.claims import claimed
from opsmigrate.fleet.delivery import limit_of
from opsmigrate.fleet.dispatch import Dispatch, QueueUnreachable, Terms
from opsmigrate.fleet.progress import FleetProgress
from opsmigrate.fleet.run_folder import RunFolder
from opsmigrate.fleet.shared_place import SharedPlace, files_of
from opsmigrate.fleet.unit import Unit
from opsmigrate.steps import command

if TYPE_CHECKING:
    from celery import Celery

# A worker looks itself whether the unit takes too long: delivery.py. These end what hangs
# elsewhere, in a file system for instance, and in a pool of processes only.
SECONDS_OVER_SOFT, SECONDS_OVER_HARD = 30.0, 60.0
SECONDS_TO_ANSWER = 2.0
TRIES = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 1.0}
INSTALL = command("pip install 'celery[redis]>=5.5,<6'")


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


class CeleryEngine:
    """A run of a fleet on the project's Celery."""

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        folder: Path,
        *,
        release: str | None,
        storage: str | None,
        connection_of: Callable[[str], BaseDatabaseWrapper],
        seconds: float | None,
        say: Callable[[str], None],
        progress: Callable[[FleetProgress], None],
    ) -> None:
        """Ask the workers whether they are there.

        They see the run's `folder` too, or the alias `storage` of STORAGES, and must be of the
        `release`. `connection_of` returns the connection of an alias, `seconds` is the time budget
        of the command. Raises UsageError without Celery or an app, UndecidedError where the broker
        cannot be reached or no worker knows the task, SettingsError without such a storage.
        """
        self._place = SharedPlace(files_of(folder, storage))
        self._folder = RunFolder(folder)
        limit = None if seconds is None else limit_of(seconds)
        self._queue = CeleryQueue(celery_app(), folder.name, limit)
        self._terms = Terms(
            at_most=lambda server: 1,
            claimed=lambda each: _claimed(each, connection_of),
            release=release,
            seconds=limit,
            say=say,
            progress=progress,
        )
        for line in remarks(self._queue):
            say(line)

    def run(self, units: Sequence[Unit], *, at_most: Callable[[str], int]) -> Dispatch:
        """Return the run of these units; `at_most` says how many may be on their way, by server."""
        return Dispatch(
            units,
            self._place,
            self._folder,
            self._queue,
            replace(self._terms, at_most=at_most),
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
            hint="install opsmigrate where they run, have opsmigrate in INSTALLED_APPS and "
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

    def __init__(self, app: Celery, run: str, seconds: float | None) -> None:
        """Take the app, the name of the run's folder, and how many seconds a unit may take."""
        from opsmigrate.fleet.tasks import NAME

        self._app, self._run, self.name = app, run, NAME
        self._limits: dict[str, float] = {}
        if seconds is not None:
            self._limits = {
                "soft_time_limit": seconds + SECONDS_OVER_SOFT,
                "time_limit": seconds + SECONDS_OVER_HARD,
            }

    def send(self, unit: Unit) -> None:
        """Send the unit; raise QueueUnreachable where that cannot be done now."""
        from kombu.exceptions import OperationalError

        try:
            self._app.tasks[self.name].apply_async(
                args=[self._run, unit.target.label],
                retry=True,
                retry_policy=TRIES,
                **self._limits,
            )
        except OperationalError as error:
            raise QueueUnreachable(self._unreachable()) from error

    def waiting(self) -> int | None:
        """Return how many messages no worker has taken yet, None where that is not known."""
        route = self._app.amqp.router.route({}, self.name)
        queue = route.get("queue") or self._app.conf.task_default_queue
        try:
            with self._app.connection_for_read() as connection:
                return self._size(connection, getattr(queue, "name", queue))
        except Exception:
            # Each transport has errors of its own.
            return None

    def _size(self, connection: Any, queue: str) -> int:
        try:
            declared = connection.default_channel.queue_declare(queue=queue, passive=True)
        except connection.channel_errors:
            # There is no such queue; to Redis one that is empty is none.
            return 0
        return int(declared.message_count)

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
