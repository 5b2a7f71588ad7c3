"""The report on the first member of a class, as it is of another member that answers the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.names import quoted
from opsmigrate.sql.moved import NotMovableError, moved_by


def said_of(report: Mapping[str, Any], first: Target, member: Target) -> dict[str, Any]:
    """Return the report of `first` as one of `member`, whose schema it names instead.

    What was measured on the first, as the forecast and the rehearsal, is left out: the facts name
    the first as `said_of`, which no report of a member of its own has.
    """
    if member.label == first.label:
        return dict(report)
    facts = report.get("facts", {})
    kept = {name: facts[name] for name in ("summary", "plan") if name in facts}
    body = {**report, "facts": {**kept, "said_of": first.label}}
    if first.schema is None or member.schema is None:
        return body
    return dict(_Renaming(first.schema, member.schema).of(body))


def renamed_text(text: str, first: Target, member: Target) -> str:
    """Return a text about `first` as one about `member`."""
    if first.schema is None or member.schema is None:
        return text
    return str(_Renaming(first.schema, member.schema).of(text))


class _Renaming:
    """The words of a report with another schema's name in them."""

    def __init__(self, schema: str, other: str) -> None:
        self._schema, self._other = schema, other
        name, in_quotes = re.escape(schema), re.escape(quoted(schema))
        self._words = re.compile(rf'(?<![\w".$])(?:(?P<quoted>{in_quotes})|{name})(?=\.["\w])')

    def of(self, value: Any) -> Any:
        """Return any JSON value with the texts in it renamed."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            if value.get("kind") == "sql" and isinstance(value.get("text"), str):
                return {**{key: self.of(each) for key, each in value.items()},
                        "text": self._sql(value["text"])}  # fmt: skip
            return {key: self.of(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(each) for each in value]
        return value

    def _text(self, text: str) -> str:
        return self._words.sub(
            lambda found: quoted(self._other) if found["quoted"] else self._other, text
        )

    def _sql(self, text: str) -> str:
        try:
            return moved_by(text, self._schema)(self._other)
        except NotMovableError:
            return self._text(text)
