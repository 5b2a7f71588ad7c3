"""A statement that is watched while it runs, in a thread of its own, and can be stopped."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.interrupts import SECONDS_IN_GOOD_ORDER
from opsmigrate.postgres.cancellation import cancel, close_line

Answer = TypeVar("Answer")
SECONDS_BETWEEN_LOOKS = 0.2


def run_interruptibly(
    connection: BaseDatabaseWrapper, work: Callable[[], Answer], *, watch: Callable[[], None]
) -> Answer:
    """Return what `work` returns, which uses `connection` alone, from a thread of its own.

    The caller's thread calls `watch` meanwhile, again and again; it may raise to stop. Whatever
    stops us, the statement that runs is cancelled, and `work` has ended when the exception leaves.
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
    """Wait for so many seconds on the server: a cancel ends it at once, in whichever thread.

    A time.sleep() there would go on, and the work after it as well: no cancel finds a statement.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def cancel_until(connection: BaseDatabaseWrapper, ended: threading.Event) -> None:
    """Cancel what runs on the connection, in another thread, until `ended` is set.

    Where that does not help, the line is closed: nothing is waited for without end.
    """
    begun = time.monotonic()
    # Again and again: a cancel that arrives between two statements is lost.
    while not ended.is_set():
        cancel(connection)
        if time.monotonic() - begun > SECONDS_IN_GOOD_ORDER:
            close_line(connection)
        ended.wait(SECONDS_BETWEEN_LOOKS)
