"""The comment of a database: set, and read again where it is one of opsmigrate."""

from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.json_files import UnreadableError, parse_object
from opsmigrate.postgres.compose import Composable


def comment_on(database: str, comment: str | None) -> Composable:
    """Return the statement that sets the comment of a database, or removes it."""
    text = sql.SQL("NULL") if comment is None else sql.Literal(comment)
    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), text)


def our_comment(comment: str | None, kind: str) -> dict[str, Any] | None:
    """Return what the comment of a database of opsmigrate says; None for other comments."""
    try:
        about = parse_object(comment or "")
    except UnreadableError:
        return None
    return about if about.get("opsmigrate") == kind else None
