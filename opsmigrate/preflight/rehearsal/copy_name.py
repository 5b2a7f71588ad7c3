"""The name of a copy is not the live database's: who looks at it goes another way."""

import re
from collections.abc import Callable
from typing import Any

WHAT = "it reads the database's name, which is different on a copy"
# As a column for the client; within a condition on the catalogs it is right whatever it is.
GIVEN_OUT = re.compile(
    r"^\s*SELECT\b(?:(?!\bFROM\b|\bWHERE\b)[^;])*\bcurrent_(?:database\s*\(|catalog\b)", re.I
)
NAMED = re.compile(r"\bcurrent_database\s*\(|\bcurrent_catalog\b|\bdatname\b|_catalog\b", re.I)


def asks_for_name(statement: str, live: str) -> bool:
    """Return whether a statement depends on the database's name; `live` is the live one's."""
    if GIVEN_OUT.search(statement):
        return True
    return f"'{live}'" in statement and NAMED.search(statement) is not None


def recording_name(name: str, record: Callable[[str], None]) -> str:
    """Return the copy's name; `record` hears of code that compares it with another."""

    def compared(method: Callable[..., Any]) -> Callable[..., Any]:
        def compare(own: str, other: Any, *rest: Any) -> Any:
            # Django itself looks whether it is empty, or in quotes.
            named = isinstance(other, str | tuple) and re.search(r"\w", str(other))
            if named and other != name:
                record(WHAT)
            return method(own, other, *rest)

        return compare

    methods = ("__contains__", "__eq__", "__ne__", "endswith", "startswith")
    members = {each: compared(getattr(str, each)) for each in methods}
    kind = type("CopyName", (str,), {**members, "__hash__": str.__hash__})
    return str.__new__(kind, name)
