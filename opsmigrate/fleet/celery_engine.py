"""A fleet on the project's own Celery: its app, its broker, its workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opsmigrate.errors import UndecidedError, UsageError
from opsmigrate.fleet.dispatch import Dispatch, Progress, QueueUnreachable
from opsmigrate.fleet.run_folder import Outcome
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


class CeleryQueue:
    """The queue that the project's app sends the task of a fleet to."""

    def __init__(self, app: Celery, seconds: float | None) -> None:
        """Take the app, and how many seconds a unit may take."""
        from opsmigrate.fleet.tasks import NAME

        self._app, self._name = app, NAME
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
            self._app.tasks[self._name].apply_async(
                args=[unit.run_id, unit.target.label],
                retry=True,
                retry_policy=TRIES,
                **self._limits,
            )
        except OperationalError as error:
            raise QueueUnreachable(self._unreachable()) from error

    def waiting(self) -> int | None:
        """Return how many messages no worker has taken yet, None where that is not known."""
        try:
            route = self._app.amqp.router.route({}, self._name)
            queue = route["queue"] if "queue" in route else self._app.conf.task_default_queue
            with self._app.connection_for_read() as connection:
                channel = connection.default_channel
                return int(
                    channel.queue_declare(queue=getattr(queue, "name", queue), passive=True)
                    .message_count
                )
        except Exception:
            # Each transport has errors of its own; a queue that was never declared is one too.
            return None

    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the workers that answer in time say of themselves, by name.

        Raises QueueUnreachable.
        """
        from kombu.exceptions import OperationalError

        try:
            inspect = self._app.control.inspect(timeout=SECONDS_TO_ANSWER)
            registered = inspect.registered() or {}
            stats = inspect.stats() or {}
        except OperationalError as error:
            raise QueueUnreachable(self._unreachable()) from error
        return {
            name: {**stats.get(name, {}), "knows": self._name in {each.split()[0] for each in tasks}}
            for name, tasks in registered.items()
        }

    def _unreachable(self) -> str:
        with suppress(Exception):
            return f"the broker {self._app.connection_for_write().as_uri()} cannot be reached"
        return "the broker cannot be reached"
