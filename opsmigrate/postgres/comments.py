"""The comment of a database: set, and read again where it is one of ours."""

import json
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable


def comment_on(database: str, comment: str | None) -> Composable:
    """Return the statement that sets the comment of a database, or removes it."""
    text = sql.SQL("NULL") if comment is None else sql.Literal(comment)
    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), text)


def our_comment(comment: str | None, kind: str) -> dict[str, Any] | None:
    """Return what the comment of a database of ours says; None where it is of another kind."""
    try:
        about = json.loads(comment or "")
    except (ValueError, RecursionError):
        return None
    return about if isinstance(about, dict) and about.get("opsmigrate") == kind else None
