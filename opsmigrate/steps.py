"""What a finding says to type: steps, one a line, each as it is, with real names."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from opsmigrate.shown import shown

TAKING_AN_ALIAS = (
    "backfill_field",
    "backup_db",
    "check_drift",
    "dbshell",
    "migrate",
    "migrate_safely",
    "preflight_migrate",
    "restore_db",
    "run_playbook",
    "run_uat",
    "seed_payment_id",
    "showmigrations",
    "uat_load",
    "uat_scan",
    "verify_backup",
)
# A variable may stand before, as the shell takes it: PGOPTIONS='…' python manage.py migrate
TYPED = re.compile(
    rf"^(?:\w+='[^']*' )?python manage\.py (?:{'|'.join(TAKING_AN_ALIAS)})\b(?!.* --database )",
    re.MULTILINE,
)
# All of them read the settings.
WITH_SETTINGS = re.compile(
    r"^(?:\w+='[^']*' )?python (?:manage\.py \w+|scripts/\w+\.py)\b(?!.* --settings)", re.MULTILINE
)
# Where they say no more, they are about what was typed.
OF_THE_PLAN = re.compile(
    r"^(?:\w+='[^']*' )?python manage\.py (?:migrate|migrate_safely|preflight_migrate)"
    r"(?= --rehearse | --approval |$)",
    re.MULTILINE,
)
DEFAULT_ALIAS = "default"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line to type: a shell command in the project's folder, or SQL on the database.

    SQL is typed by the role that migrates, and ends with a semicolon. `risk` says in a few words
    what the step may cost, such as "loses values". Steps of one `alternative` belong together;
    where there is more than one alternative, a person decides, and the first is the likelier.
    """

    kind: Literal["command", "sql"]
    text: str
    risk: str | None = None
    alternative: int = 1


def command(text: str, *, risk: str | None = None, alternative: int = 1) -> Step:
    """Return the step that types a shell command."""
    return Step(kind="command", text=text, risk=risk, alternative=alternative)


def statement(text: str, *, risk: str | None = None, alternative: int = 1) -> Step:
    """Return the step that types one SQL statement, without its semicolon."""
    return Step(kind="sql", text=f"{text};", risk=risk, alternative=alternative)


# To migrate is to ask first: something else may be in the way.
APPLY = (command("python manage.py preflight_migrate"), command("python manage.py migrate"))


def of_the_plan(text: str, plan: Sequence[str], rehearsal: Sequence[str]) -> str:
    """Return words whose commands repeat the arguments of `migrate`, which else mean all apps.

    `rehearsal` are options of those that examine, which `migrate` does not know.
    """

    def repeated(found: re.Match[str]) -> str:
        own = () if found[0].endswith(" migrate") else rehearsal
        return " ".join([found[0], *map(shlex.quote, (*plan, *own))])

    return OF_THE_PLAN.sub(repeated, text)


def aimed(steps: Iterable[Step], alias: str, settings: str | None = None) -> tuple[Step, ...]:
    """Return the steps with commands that go where the present one went; see aimed_text()."""
    return tuple(
        replace(step, text=aimed_text(step.text, alias, settings))
        if step.kind == "command"
        else step
        for step in steps
    )


def aimed_text(text: str, alias: str, settings: str | None = None) -> str:
    """Return words that have commands on lines of their own, each aimed as the present one.

    They name the alias where that is not the default one, and `settings` where that was typed:
    with the settings that manage.py has by itself they could go to another database.
    """
    if settings:
        words = f" --settings={shlex.quote(settings)}"
        text = WITH_SETTINGS.sub(lambda found: found[0] + words, text)
    if alias == DEFAULT_ALIAS:
        return text
    return TYPED.sub(rf"\g<0> --database {alias}", text)


def as_lines(hint: str | None, steps: Sequence[Step]) -> Iterator[str]:
    """Yield the lines of a text report: the words, and each step whole on a line of its own."""
    if hint or not steps:
        # A migration to paste has several lines.
        yield from f"next: {shown(hint or '', lines=True)}".splitlines()
    elif len(steps) == 1:
        yield f"next: {_line(steps[0])}"
        return
    else:
        yield "next:"
    for number, (_, group) in enumerate(groupby(steps, key=lambda step: step.alternative)):
        if number:
            yield "or:"
        yield from (f"  {_line(step)}" for step in group)


def _line(step: Step) -> str:
    """Return the step as it is typed; what it may cost stands behind it as a comment."""
    mark = "#" if step.kind == "command" else "--"
    return shown(step.text) + (f"  {mark} {shown(step.risk)}" if step.risk else "")
