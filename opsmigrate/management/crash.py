"""What is said of an exception that no one expected: undecided, and what to do."""

import errno
import re

from django.db import Error

from opsmigrate.errors import UndecidedError
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.pgtools.known_failures import remedy_for
from opsmigrate.pgtools.run import ClientError
from opsmigrate.postgres.driver_errors import (
    INSUFFICIENT_PRIVILEGE,
    NOT_TEXT,
    QUERY_CANCELED,
    first_line,
    sqlstate,
)

# What Python makes of bytes of the command line that are no text (PEP 383).
TYPED_BYTES = re.compile("[\udc80-\udcff]")


def crash(error: Exception, chosen: ChosenDatabase) -> UndecidedError:
    """Return what to say of an exception that no one expected; secrets are left out."""
    words = chosen.redact(first_line(error))
    if isinstance(error, Error) and sqlstate(error) == INSUFFICIENT_PRIVILEGE:
        return UndecidedError(
            f"the role may not read something that must be examined: {words}",
            id="missing-read-privilege",
            hint="GRANT what is missing to the role of this alias, or use the owner's",
        )
    if isinstance(error, UnicodeEncodeError) and TYPED_BYTES.search(error.object):
        return UndecidedError(
            "what was typed, or a variable of the environment, is not UTF-8 text",
            id="not-text",
            hint="type it on a terminal that uses UTF-8",
        )
    if isinstance(error, UnicodeError) or (
        isinstance(error, Error) and sqlstate(error) in NOT_TEXT
    ):
        return UndecidedError(
            f"{chosen.name} has names or values that are not valid in its encoding, or have no "
            f"UTF-8 form: {words}",
            id="not-text",
            hint="rename what has such a name, or convert the database to UTF8",
        )
    if isinstance(error, Error) and sqlstate(error) == QUERY_CANCELED:
        return UndecidedError(
            f"the server cancelled a statement: {words}",
            id="database-error",
            **chosen.how_to_have_more_time(),
            evidence={"sqlstate": QUERY_CANCELED},
        )
    known = remedy_for(words)
    read = "read its message above; then run the command again"
    if isinstance(error, Error):
        return UndecidedError(
            f"the database answered with an unexpected error: {words}",
            id="database-error",
            hint=known.hint if known else read,
            steps=known.steps if known else (),
            evidence={"sqlstate": sqlstate(error)},
        )
    if isinstance(error, ClientError):
        return UndecidedError(
            f"a PostgreSQL client program did not finish: {words}",
            id="client-failed",
            hint=known.hint if known else read,
            steps=known.steps if known else (),
            evidence={"status": error.status, "sqlstate": error.sqlstate},
        )
    if isinstance(error, OSError) and error.errno is not None:
        return UndecidedError(
            f"the operating system refused: {words}",
            id="operating-system-error",
            hint=(
                "make room on the disk, or correct the file's permissions; then run the command "
                "again"
            ),
            evidence={"errno": errno.errorcode.get(error.errno, error.errno)},
        )
    return UndecidedError(
        f"internal error: {type(error).__name__}: {words}",
        id="internal-error",
        hint="run it again with --traceback, and report the traceback",
    )
