"""What a finding says to type: steps, one a line, each as it is, with real names."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from opsmigrate.shown import shown

TAKING_AN_ALIAS = (
    "backup_db",
    "dbshell",
    "migrate",
    "preflight_migrate",
    "restore_db",
    "run_uat",
    "seed_payment_id",
    "showmigrations",
    "verify_backup",
)
# A variable may stand before, as the shell takes it: PGOPTIONS='…' python manage.py migrate
MANAGE = r"^(?:\w+='[^']*' )?python manage\.py"
ANY = re.compile(rf"{MANAGE} \w+(?= |$)(?!.* --settings=)", re.MULTILINE)
ON_AN_ALIAS = re.compile(
    rf"{MANAGE} (?:{'|'.join(TAKING_AN_ALIAS)})\b(?!.* --database )", re.MULTILINE
)
# Where they say no more, they are about what was typed.
OF_THE_PLAN = re.compile(
    rf"{MANAGE} (?:migrate|preflight_migrate)(?= --rehearse | --approval |$)", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What was typed and holds for the steps too: without it they would be about something else.

    `plan` are the arguments of `migrate`, and `rehearsal` options of preflight_migrate, which
    `migrate` does not know.
    """

    alias: str | None = None
    settings: str | None = None
    plan: tuple[str, ...] = ()
    rehearsal: tuple[str, ...] = ()


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


def retyped(steps: Iterable[Step], typed: Typed) -> tuple[Step, ...]:
    """Return the steps, with what was typed in their commands."""
    return tuple(
        replace(step, text=retyped_text(step.text, typed)) if step.kind == "command" else step
        for step in steps
    )


def retyped_text(text: str, typed: Typed) -> str:
    """Return words that have commands on lines of their own, with what was typed in each."""
    text = OF_THE_PLAN.sub(lambda found: _with(found, (*typed.plan, *_own(found, typed))), text)
    if typed.settings is not None:
        settings = (f"--settings={typed.settings}",)
        text = ANY.sub(lambda found: _with(found, settings), text)
    if typed.alias is not None:
        alias = ("--database", typed.alias)
        text = ON_AN_ALIAS.sub(lambda found: _with(found, alias), text)
    return text


def _own(found: re.Match[str], typed: Typed) -> tuple[str, ...]:
    return typed.rehearsal if found[0].endswith("preflight_migrate") else ()


def _with(found: re.Match[str], words: Iterable[str]) -> str:
    return " ".join([found[0], *map(shlex.quote, words)])


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
    return shown(step.text) + (f"  {mark} {step.risk}" if step.risk else "")
