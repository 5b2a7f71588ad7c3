"""Lines that the runner of a CI would obey, taken their force: names in a database may be such."""

import os
import re
from collections.abc import Mapping

# Each is set by the runners of some: GitHub and GitLab, Azure Pipelines, TeamCity.
RUNNERS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")
# ActionCommand of actions/runner reads `::` at the beginning of a line, past blanks, and the older
# `##[` anywhere. Azure Pipelines reads `##vso[`, TeamCity `##teamcity[`.
COMMAND = re.compile(r"(?P<begun>(?:^|(?<=[\r\n]))\s*)::|##(?=\w*\[)")
# In each format, what a reader takes for `::` and for `##`, and no runner does. That for GitHub is
# made of such commands, each escaped by itself.
INSTEAD: Mapping[str, tuple[str, str]] = {
    "text": ("- ::", "## "),
    "json": ("::", "#\\u0023"),
    "sarif": ("::", "#\\u0023"),
    "markdown": ("&#58;:", "#&#35;"),
    "html": ("&#58;:", "#&#35;"),
    "junit": ("&#58;:", "#&#35;"),
}


def is_run_by_ci() -> bool:
    """Return whether a runner reads what is printed."""
    return any(os.environ.get(name) for name in RUNNERS)


def without_commands(text: str, format: str = "text") -> str:
    """Return a text of one of the formats of which a runner obeys nothing."""
    if format not in INSTEAD:
        return text
    colons, hashes = INSTEAD[format]

    def instead(found: re.Match[str]) -> str:
        return hashes if found["begun"] is None else f"{found['begun']}{colons}"

    return COMMAND.sub(instead, text)
