"""Extensions that are on the server for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from tests.interrupting import wait_until


@contextmanager
def extensions_from(alias: str, files: Mapping[str, str]) -> Iterator[bool]:
    """Let the server of `alias` have the extensions of these files; say whether it can.

    Only PostgreSQL 18 looks for extensions where one is told to (extension_control_path).
    """
    with connections[alias].cursor() as cursor, TemporaryDirectory() as folder:
        cursor.execute("SELECT current_setting('server_version_num')::int >= 180000")
        if not cursor.fetchone()[0]:
            yield False
            return
        Path(folder).chmod(0o755)
        place = Path(folder) / "extension"
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
        path = sql.Literal(f"{folder}:$system")
        cursor.execute(sql.SQL("ALTER SYSTEM SET extension_control_path = {}").format(path))
        cursor.execute("SELECT pg_reload_conf()")
        # The server's processes read it in their own time.
        wait_until(lambda: _current_path(cursor).startswith(folder))
        try:
            yield True
        finally:
            cursor.execute("ALTER SYSTEM RESET extension_control_path")
            cursor.execute("SELECT pg_reload_conf()")


def _current_path(cursor: CursorWrapper) -> str:
    cursor.execute("SHOW extension_control_path")
    return str(cursor.fetchone()[0])
