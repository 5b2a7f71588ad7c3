"""Another server than that of the alias, to restore a backup on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.pgtools.embedded import EmbeddedServerError, running
from opsmigrate.postgres.session import open_second

EMBEDDED = "embedded"


@contextmanager
def server_of(
    on: str | None, connection: BaseDatabaseWrapper, *, major: int
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to the server that `on` says: an alias, `embedded`, or None: the same.

    An embedded server is of the given major where the package has it, started for the block, and
    gone afterwards. Raises UsageError, or UndecidedError where it cannot be reached.
    """
    if on is None:
        yield connection
    elif on == EMBEDDED:
        with _embedded(connection, major) as embedded:
            yield embedded
    else:
        chosen = ChosenDatabase()
        other = chosen.choose(on, option="--on")
        try:
            chosen.reach()
            yield other
        finally:
            chosen.leave()


@contextmanager
def _embedded(connection: BaseDatabaseWrapper, major: int) -> Iterator[BaseDatabaseWrapper]:
    with tempfile.TemporaryDirectory(prefix="opsmigrate", ignore_cleanup_errors=True) as folder:
        try:
            manager = running(Path(folder), major=major, durable=False)
            server = manager.__enter__()
        except (EmbeddedServerError, LookupError) as error:
            raise UndecidedError(
                f"no embedded PostgreSQL {major} can be started: {error}",
                id="no-embedded-server",
                hint="pip install 'opsmigrate[clients]', or --on ALIAS",
            ) from error
        try:
            url = urlsplit(server.url)
            other = open_second(connection, database="postgres")
            other.settings_dict.update(
                USER=unquote(url.username or ""),
                PASSWORD=unquote(url.password or ""),
                HOST=url.hostname,
                PORT=str(url.port),
                OPTIONS={},
            )
            try:
                yield other
            finally:
                other.close()
        finally:
            manager.__exit__(None, None, None)
