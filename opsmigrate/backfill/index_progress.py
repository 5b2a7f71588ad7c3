"""How far CREATE INDEX CONCURRENTLY is, seen from another session."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.session import backend_pid, second_connection

PROGRESS = """
SELECT phase, blocks_done::float / nullif(blocks_total, 0), nullif(current_locker_pid, 0)
FROM pg_stat_progress_create_index WHERE pid = %s
"""
# Before it begins, and where an index is dropped, the server's report names nobody.
BLOCKERS = "SELECT array_to_string(pg_blocking_pids(%s), ', ')"


@contextmanager
def watched_index(
    connection: BaseDatabaseWrapper, say: Callable[[str, float | None], None]
) -> Iterator[Callable[[], None]]:
    """Yield what tells `say` the phase of the index that `connection` makes, and its share.

    It names the process that the server waits for: an old transaction holds the index up until
    it ends.
    """
    pid = backend_pid(connection)
    with second_connection(connection) as other:

        def look() -> None:
            try:
                with other.cursor() as cursor:
                    cursor.execute(PROGRESS, [pid])
                    row = cursor.fetchone()
                    cursor.execute(BLOCKERS, [pid])
                    blockers = cursor.fetchone()[0]
            except Error:
                return  # The statement itself says what is wrong.
            phase, share, waits_for = row or ("waiting", None, None)
            waits_for = waits_for or blockers
            held = f" (process {waits_for}, until its transaction ends)" if waits_for else ""
            if row or held:
                say(f"{phase}{held}", share)

        yield look
