"""Types on the copy, inside the fence, what puts right what stands in the way there."""

import shlex
from collections.abc import Iterable, Mapping

from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import first_line


def type_cures(connection: BaseDatabaseWrapper, steps: Iterable[Mapping[str, str]]) -> str | None:
    """Type SQL, and `migrate --fake`, in one session; return why one failed, None where none did.

    `connection` is to the copy, and is closed: what they set holds for nothing else.
    """
    try:
        for step in steps:
            try:
                if step["kind"] == "sql":
                    with connection.cursor() as cursor:
                        cursor.execute(step["text"])
                else:
                    _record(connection, step["text"])
            except Exception as error:  # the fence, the server, or code of the project
                return f"{step['text']} failed there: {first_line(error)}"
    finally:
        connection.close()
    return None


def _record(connection: BaseDatabaseWrapper, text: str) -> None:
    """Record the migration that `python manage.py migrate --fake APP NAME` names."""
    *_, app, name = shlex.split(text)
    call_command(
        "migrate",
        app,
        name,
        fake=True,
        database=connection.alias,
        interactive=False,
        verbosity=0,
        skip_checks=True,
    )
