"""The pages of findings, with what stands in their notes: comments that only the tests read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PAGES = Path(__file__).resolve().parent.parent / "docs" / "findings"
NOTE = re.compile(r"^<!-- ([a-z ]+): (.+) -->$", re.M)
# What a note may say; docs/findings/README.md has what each means.
NOTES = {
    "not run",
    "also found",
    "no harm",
    "no steps",
    "after the steps",
    "steps typed in",
    "steps not typed",
    "servers",
}
NO_MAJOR = 1_000


def page_ids() -> set[str]:
    """Return the ids that have a page."""
    return {path.stem for path in PAGES.glob("*.md")} - {"README"}


def text_of(id: str) -> str:
    """Return a page."""
    return (PAGES / f"{id}.md").read_text(encoding="utf-8")


def notes_of(id: str) -> Mapping[str, str]:
    """Return the notes of a page by their names."""
    return dict(NOTE.findall(text_of(id)))


def ids_noted(name: str) -> set[str]:
    """Return the ids on whose pages this note stands."""
    return {id for id in page_ids() if name in notes_of(id)}


def majors_of(id: str) -> range:
    """Return the major versions of PostgreSQL that refuse what the page is about."""
    said = notes_of(id).get("servers", "from 0")
    bound, _, number = said.rpartition(" ")
    if bound not in ("from", "up to") or not number.isdigit():
        raise ValueError(f"{id}: write `servers: from 18` or `servers: up to 17`, not {said!r}")
    return range(int(number), NO_MAJOR) if bound == "from" else range(int(number) + 1)
