"""The list of the steps on stderr: lines, or one that redraws itself where rich is installed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opsmigrate.playbook.sequence import TITLES
from opsmigrate.progress import Progress


class StepList:
    """A line for each step as it begins and ends, and what its command prints in between."""

    def __init__(
        self, progress: Progress, steps: Sequence[str], seconds: Mapping[str, float]
    ) -> None:
        """Show these steps; `seconds` is how long each took when it was last completed."""
        self._progress = progress
        self.steps = steps
        self.seconds = seconds

    def begin(self, step: str) -> None:
        """Show that a step begins, and how much time is left if it goes as it last did."""
        number = f"[{self.steps.index(step) + 1}/{len(self.steps)}]"
        self._progress.phase(f"{number} {step}: {TITLES[step]}{left_words(self, step)}")

    def end(self, step: str, words: str, seconds: float) -> None:
        """Show how a step ended."""
        self._progress.phase(f"    {words}, {seconds:.1f} s")

    def say(self, line: str) -> None:
        """Show what the command of the step prints."""
        self._progress.phase(line)


def left_words(steps: StepList, step: str) -> str:
    """Return the time that is left from this step on, as of the last run; empty if not known."""
    rest = steps.steps[steps.steps.index(step) :]
    if any(each not in steps.seconds for each in rest):
        return ""
    return f" (about {sum(steps.seconds[each] for each in rest):,.0f} s left, as of the last run)"


class LiveStepList(StepList):
    """The same as a table that redraws itself, by rich."""

    def __init__(
        self, progress: Progress, steps: Sequence[str], seconds: Mapping[str, float]
    ) -> None:
        super().__init__(progress, steps, seconds)
        from rich.console import Console
        from rich.live import Live

        self._states: dict[str, str] = {}
        self._line = ""
        self._now = ""
        self._began = 0.0
        self.live = Live(
            console=Console(file=sys.stderr),
            get_renderable=self._table,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def begin(self, step: str) -> None:
        """Show that a step begins."""
        self._now, self._began, self._line = step, time.monotonic(), ""
        self._states[step] = "…"

    def end(self, step: str, words: str, seconds: float) -> None:
        """Show how a step ended."""
        self._states[step], self._now, self._line = f"{words}, {seconds:.1f} s", "", ""

    def say(self, line: str) -> None:
        """Show what the command of the step prints, below the table."""
        self._line = line.strip()

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, pad_edge=False)
        for step in self.steps:
            state = self._states.get(step, "")
            if step == self._now:
                took = time.monotonic() - self._began
                state = f"{took:.0f} s{left_words(self, step)}"
            # Text: nothing that others named is read as markup.
            table.add_row(Text(step), Text(TITLES[step]), Text(state))
        if self._line:
            table.add_row(Text(""), Text(self._line, overflow="ellipsis", no_wrap=True), Text(""))
        return table


@contextmanager
def step_list(
    progress: Progress, steps: Sequence[str], seconds: Mapping[str, float], *, live: bool
) -> Iterator[StepList]:
    """Yield the list; `live` where a person watches a terminal, and only if rich is installed."""
    if live:
        try:
            table = LiveStepList(progress, steps, seconds)
        except ImportError:
            pass
        else:
            with table.live:
                yield table
            return
    yield StepList(progress, steps, seconds)
