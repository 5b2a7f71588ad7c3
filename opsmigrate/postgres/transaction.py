"""A transaction on the connection that was passed, whichever thread or alias it came from."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

# One view of everything that is read, and nothing written.
SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"


@contextmanager
def transaction(connection: BaseDatabaseWrapper, mode: str = "") -> Iterator[CursorWrapper]:
    """Yield a cursor inside a transaction; commit at the end, roll back on an exception.

    `mode` is what BEGIN takes, for instance SNAPSHOT.

    django.db.transaction.atomic() takes an alias and finds that alias's connection of the present
    thread, which need not be the one that was passed. Within somebody's atomic() block this is a
    savepoint.
    """
    nested = connection.in_atomic_block
    begin, commit, undo = (
        ("SAVEPOINT opsmigrate", "RELEASE SAVEPOINT opsmigrate", "ROLLBACK TO SAVEPOINT opsmigrate")
        if nested
        else (f"BEGIN {mode}", "COMMIT", "ROLLBACK")
    )
    with connection.cursor() as cursor:
        cursor.execute(begin)
        try:
            yield cursor
        except BaseException:
            # Where the connection is lost, the server has rolled back already.
            with suppress(Error):
                cursor.execute(undo)
            raise
        cursor.execute(commit)
