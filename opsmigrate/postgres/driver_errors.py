"""What a driver's error says, whichever driver Django took."""

from typing import Any

from django.db import Error

INSUFFICIENT_PRIVILEGE = "42501"
LOCK_NOT_AVAILABLE = "55P03"
UNDEFINED_COLUMN = "42703"
UNDEFINED_OBJECT = "42704"
DEADLOCK_DETECTED = "40P01"
SERIALIZATION_FAILURE = "40001"
QUERY_CANCELED = "57014"
READ_ONLY_TRANSACTION = "25006"
# Also said of SET TRANSACTION READ WRITE that comes too late in a transaction.
ACTIVE_SQL_TRANSACTION = "25001"
# character_not_in_repertoire, untranslatable_character
NOT_TEXT = ("22021", "22P05")


def sqlstate(error: Error) -> str | None:
    """Return PostgreSQL's five-character error code, or None (as when connecting failed)."""
    cause = error.__cause__
    # psycopg 3 says sqlstate, psycopg2 says pgcode.
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def severity(error: Error) -> str | None:
    """Return what the server calls the kind of error in its own language, such as ERROR."""
    said = getattr(getattr(error.__cause__, "diag", None), "severity", None)
    return str(said) if said else None


def said_besides(error: Error) -> dict[str, str | None]:
    """Return what the server says of the error besides its words: where it was, and about what.

    The keys are context (lines from the inside out), schema, table, column and constraint.
    """
    said: Any = getattr(error.__cause__, "diag", None)
    keys = ("context", "schema_name", "table_name", "column_name", "constraint_name")
    return {key.removesuffix("_name"): getattr(said, key, None) for key in keys}


def first_line(error: BaseException) -> str:
    """Return the error's words on one line, without the statement and the pointer below it."""
    return "; ".join(_parts(error)) or type(error).__name__


def _parts(error: BaseException) -> list[str]:
    said: Any = getattr(error.__cause__, "diag", None)
    if said is not None and said.message_primary:
        # By what the server calls each part, and not by the words that the driver puts before it.
        texts = [said.message_primary]
        if not said.statement_position:
            texts += [f"DETAIL:  {said.message_detail}"] if said.message_detail else []
            texts += [f"HINT:  {said.message_hint}"] if said.message_hint else []
    else:
        texts = [str(error)]
    return [line.strip() for text in texts for line in text.splitlines() if line.strip()]
