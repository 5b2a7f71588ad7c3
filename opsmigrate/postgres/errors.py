"""What a driver's error says, whichever driver Django took."""

from django.db import Error

INSUFFICIENT_PRIVILEGE = "42501"
LOCK_NOT_AVAILABLE = "55P03"
UNDEFINED_COLUMN = "42703"
UNDEFINED_OBJECT = "42704"
DEADLOCK_DETECTED = "40P01"
SERIALIZATION_FAILURE = "40001"
QUERY_CANCELED = "57014"
READ_ONLY_TRANSACTION = "25006"


def sqlstate(error: Error) -> str | None:
    """Return PostgreSQL's five-character error code, or None (as when connecting failed)."""
    cause = error.__cause__
    # psycopg 3 says sqlstate, psycopg2 says pgcode.
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def severity(error: Error) -> str | None:
    """Return what the server calls the kind of error in its own language, such as ERROR."""
    said = getattr(getattr(error.__cause__, "diag", None), "severity", None)
    return str(said) if said else None


def first_line(error: BaseException) -> str:
    """Return the error's words on one line, without the statement and the pointer below it."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = []
    for line in lines:
        if line.startswith(("LINE ", "CONTEXT:")):
            break
        if line:
            kept.append(line)
    return "; ".join(kept) or type(error).__name__
