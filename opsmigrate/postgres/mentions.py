"""Where SQL names something, as far as its text tells."""

import re
from collections.abc import Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

# R and T: those that name no table without quotes (SQL Key Words, appendix C).
KEYWORDS = "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')"


def read_reserved(connection: BaseDatabaseWrapper) -> frozenset[str]:
    """Return the words that the server reserves, in small letters."""
    with connection.cursor() as cursor:
        cursor.execute(KEYWORDS)
        return frozenset(row[0] for row in cursor.fetchall())


def mentions(text: str, *names: str) -> bool:
    """Return whether a text has any of the names by itself; what is reserved is not looked at."""
    return bool(names) and re.search(naming(names, frozenset()), text) is not None


def naming(names: Iterable[str], reserved: frozenset[str]) -> str:
    """Return the regular expression that finds any of the names where it stands by itself.

    Without quotes, LARGE is large. But ORDER BY names no table `order`: what is reserved, or has
    capitals, must be quoted, and is found only as it is written.
    """
    exact: list[str] = []
    folded: list[str] = []
    for name in sorted(names):
        kind = exact if name in reserved or name != name.lower() else folded
        kind.append(re.escape(name))
    return rf"(?<![\w$])(?:{'|'.join([*exact, *(f'(?i:{name})' for name in folded)])})(?![\w$])"
