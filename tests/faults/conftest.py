"""How many runs were faulted, said at the end of pytest's output."""

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the count, by what became of the runs."""
    counts: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            if report.when == "call":
                counts.update(value for name, value in report.user_properties if name == "fault")
    if counts:
        terminalreporter.write_line(
            f"{counts.total()} faulted runs: {counts['met']} met at work, {counts['late']} at their "
            "end"
        )
