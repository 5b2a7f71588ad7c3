"""Long statements that Ctrl-C, SIGTERM or a deadline ends at once, whichever driver waits."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

Answer = TypeVar("Answer")
SECONDS_BETWEEN_LOOKS = 0.2


def run_interruptibly(
    connection: BaseDatabaseWrapper,
    work: Callable[[], Answer],
    *,
    watch: Callable[[], None] = lambda: None,
) -> Answer:
    """Return what `work` returns, which uses `connection` alone, from a thread of its own.

    psycopg2 waits inside C, where no signal is seen; the caller's thread waits here instead. It
    calls `watch` again and again, which may raise to stop. Whatever stops us, the statement that
    runs is cancelled, and `work` has ended when the exception leaves.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    # Not Thread.join(): a signal that interrupts it makes Python 3.11 and 3.12 believe that the
    # thread has ended.
    ended = threading.Event()
    connection.ensure_connection()
    connection.inc_thread_sharing()
    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        try:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                watch()
        except BaseException:
            cancel_until(connection, ended)
            raise
    finally:
        connection.dec_thread_sharing()
    if errors:
        raise errors[0]
    return answers[0]


def pause(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """Wait for so many seconds on the server: within run_interruptibly a cancel ends it at once.

    A time.sleep() there would go on, and the work after it as well: no cancel finds a statement.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def cancel_until(connection: BaseDatabaseWrapper, ended: threading.Event) -> None:
    """Cancel what runs on the connection, in another thread, until `ended` is set."""
    # Again and again: a cancel that arrives between two statements is lost.
    while not ended.is_set():
        driver = connection.connection
        with suppress(Exception):
            driver.cancel()
        ended.wait(SECONDS_BETWEEN_LOOKS)
