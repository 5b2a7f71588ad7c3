"""The list of the steps of run_playbook: lines, and the table of rich."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from opsmigrate.playbook.step_list import LiveStepList, step_list
from opsmigrate.progress import Progress

STEPS = ["backup", "migrate", "uat"]
SECONDS = {"backup": 10.0, "migrate": 1.5, "uat": 3.0}


class Lines:
    """A stream that nobody watches."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, msg: str, style_func: None = None, ending: str | None = None) -> None:
        self.lines.append(msg)

    def isatty(self) -> bool:
        return False


def test_where_nobody_watches_there_is_a_line_for_each_step() -> None:
    stream = Lines()
    progress = Progress(stream, verbosity=1)

    with step_list(progress, STEPS, SECONDS, live=False) as shown:
        shown.begin("migrate")
        shown.say("  one at a time")
        shown.end("migrate", "passed", 2.0)

    assert stream.lines == [
        "[2/3] migrate: migrate (about 4 s left, as of the last run)",
        "  one at a time",
        "    passed, 2.0 s",
    ]


def test_without_a_former_run_no_time_is_promised() -> None:
    stream = Lines()

    with step_list(Progress(stream, verbosity=1), STEPS, {"uat": 3.0}, live=False) as shown:
        shown.begin("backup")

    assert stream.lines == ["[1/3] backup: back up, and restore it to see that it is a backup"]


def test_on_a_terminal_there_is_a_table() -> None:
    table = LiveStepList(Progress(Lines(), verbosity=1), STEPS, SECONDS)
    table.begin("backup")
    table.end("backup", "passed", 12.0)
    table.begin("migrate")
    table.say("  [red]what others named[/red] is no markup")
    out = StringIO()

    Console(file=out, width=120).print(table._table())

    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0].endswith("passed, 12.0 s")
    assert "about 4 s left" in lines[1]
    assert lines[2].startswith("uat")
    assert "[red]what others named[/red] is no markup" in lines[3]
