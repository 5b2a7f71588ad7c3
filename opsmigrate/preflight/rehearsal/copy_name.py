"""The name of a copy is not the live database's: who looks at it goes another way."""

from collections.abc import Callable
from typing import Any

from opsmigrate.sql import nodes
from opsmigrate.sql.placeholders import statements_if_readable

WHAT = "it reads the database's name, which is different on a copy"
NAMES = ("current_database", "current_catalog")
COLUMNS = ("datname", "_catalog")
# Within a condition on the catalogs it is right whatever it is.
CONDITIONS = ("having_clause", "quals", "where_clause")


def asks_for_name(statement: str, live: str) -> bool:
    """Return whether a statement depends on the database's name; `live` is the live one's."""
    text = statement.lower()
    if any(name in text for name in NAMES) and _gives_it_out(statement):
        return True
    return f"'{live}'" in statement and any(name in text for name in NAMES + COLUMNS)


def _gives_it_out(text: str) -> bool:
    """Return whether the client, or a row, gets the name; also where the text cannot be read."""
    statements = statements_if_readable(text)
    return statements is None or any(_is_of_name(each.node) for each in statements)


def _is_of_name(node: Any) -> bool:
    kind = node.DESCRIPTOR.name
    if kind == "FuncCall" and nodes.names(node.funcname)[-1] == "current_database":
        return True
    if kind == "SQLValueFunction" and nodes.label(node, "op") == "SVFOP_CURRENT_CATALOG":
        return True
    return any(
        _is_of_name(each)
        for descriptor, value in node.ListFields()
        if descriptor.message_type is not None and descriptor.name not in CONDITIONS
        for each in ((value,) if hasattr(value, "DESCRIPTOR") else value)
    )


def recording_name(name: str, record: Callable[[str], None]) -> str:
    """Return the copy's name; `record` hears of code that compares it with another."""

    def compared(method: Callable[..., Any]) -> Callable[..., Any]:
        def compare(own: str, other: Any, *rest: Any) -> Any:
            # Django itself looks whether it is empty, or in quotes.
            named = isinstance(other, str | tuple) and any(map(str.isalnum, str(other)))
            if named and other != name:
                record(WHAT)
            return method(own, other, *rest)

        return compare

    methods = ("__contains__", "__eq__", "__ne__", "endswith", "startswith")
    members = {each: compared(getattr(str, each)) for each in methods}
    kind = type("CopyName", (str,), {**members, "__hash__": str.__hash__})
    return str.__new__(kind, name)
