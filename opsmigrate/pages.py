"""The page of every finding, as the documentation has it."""

import re
from difflib import get_close_matches
from pathlib import Path

from opsmigrate.errors import UsageError
from opsmigrate.steps import command

# An installed package has the pages beside this file; a source tree in docs/findings.
INSTALLED = Path(__file__).resolve().parent / "findings"
SOURCE = Path(__file__).resolve().parent.parent / "docs" / "findings"
NOTE = re.compile(r"<!--.*?-->\n\n?", re.DOTALL)
# As version 0.1.0 called them: the id of then -> the one of now.
FORMER_IDS = {
    "copy-gave-way": "copy-lock-conflict",
    "loss-grew": "writes-during-restore",
    "missing-right-to-look": "missing-read-privilege",
    "not-put-aside": "not-a-former-database",
    "nothing-to-keep": "no-scratch-to-keep",
    "options-exclude": "conflicting-options",
    "other-version": "server-version-differs",
    "system-refused": "operating-system-error",
}
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def page_of(id: str) -> str:
    """Return the page of a finding as plain text; raise UsageError for an id that has none.

    An id that a finding had in version 0.1.0 leads to the page of its present one.
    """
    id = FORMER_IDS.get(id, id)
    folder = INSTALLED if INSTALLED.is_dir() else SOURCE
    known = {path.stem: path for path in folder.glob("*.md") if path.stem != "README"}
    if id not in known:
        near = get_close_matches(id, known, n=3, cutoff=0.5)
        raise UsageError(
            f"there is no finding with the id {id!r}"
            + (f"; similar: {', '.join(near)}" if near else ""),
            id="unknown-finding",
            hint="copy the id from a report, where it is in square brackets",
            steps=tuple(
                command(f"python manage.py preflight_migrate --explain {each}", alternative=number)
                for number, each in enumerate(near, 1)
            ),
        )
    text = NOTE.sub("", known[id].read_text(encoding="utf-8"))
    return LINK.sub(r"\1", text).rstrip()
