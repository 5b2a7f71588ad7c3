"""What is typed after `manage.py fleet`: its own options, and those of the command that it runs."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management import CommandError, load_command_class
from django.core.management.base import CommandParser

from opsmigrate.errors import UsageError
from opsmigrate.fleet.run import MostFailures
from opsmigrate.fleet.unit import COMMANDS, TARGET
from opsmigrate.management.argument_types import positive_int

# What a fleet says to each command itself, or what would be one file for all of them.
OF_THE_FLEET = ("--database", "--format", "--output", "--also", "--no-input", "--noinput")
# What each target writes or reads for itself: its name goes where TARGET stands.
OF_EACH_TARGET = (
    "--baseline",
    "--report-dir",
    "--save-baseline",
    "--write-repair",
    "--write-scripts",
)
# What is of the fleet's report and of each target's: one with a warning is no canary that passed.
OF_BOTH = ("--fail-on",)
LOCAL_ENGINE = "local"
ENGINES = (LOCAL_ENGINE, "celery")
# What is typed to go on must not let more go on than was said when the run began.
BRAKES = ("canary", "max_failures", "at_most")
PART = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
FAILURES = re.compile(r"([0-9]{1,9})(%?)")


def add_fleet_arguments(parser: ArgumentParser) -> None:
    """Add which targets there are, how they are run, and when that stops."""
    parser.add_argument(
        "command",
        nargs="?",
        metavar="COMMAND",
        help=f"what is run on each target: {', '.join(COMMANDS)}; its own options come after it",
    )
    parser.add_argument("--list", action="store_true", help="list the targets, and run nothing")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="run on the targets whose name matches; may be given several times",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="leave the targets out whose name matches; may be given several times",
    )
    parser.add_argument(
        "--part",
        type=part,
        metavar="I/N",
        help="run part I of N: each target is in exactly one of them (see --merge)",
    )
    parser.add_argument(
        "--canary",
        type=positive_int,
        metavar="N",
        help="run the first N targets, and the others only if all of these pass",
    )
    parser.add_argument(
        "--max-failures",
        type=most_failures,
        metavar="N",
        help="begin no more targets when more than N (or N%%) of them have not passed",
    )
    parser.add_argument(
        "--at-most",
        type=positive_int,
        metavar="N",
        help="targets at a time on one server (default: as many as this machine has processors); "
        "fewer where the server has few free connections",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="who runs them: this machine (default), or the workers of the project's Celery app",
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run: with what was not done, or did not pass",
    )
    parser.add_argument(
        "--merge",
        nargs="+",
        metavar="DIR",
        help="write one report of the parts of a run, from their folders; run nothing",
    )


def part(text: str) -> tuple[int, int]:
    """Return `text`, as in 2/5, as two numbers."""
    found = PART.fullmatch(text)
    number, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= parts:
        raise ArgumentTypeError(f"{text!r} is not a part as in 2/5")
    return number, parts


def most_failures(text: str) -> MostFailures:
    """Return `text`, as in 3 or 5%, as a bound."""
    found = FAILURES.fullmatch(text)
    if not found or (found[2] and int(found[1]) > 100):
        raise ArgumentTypeError(f"{text!r} is neither a whole number nor a percentage, as 3 or 5%")
    return MostFailures(number=int(found[1]), percent=bool(found[2]))


def typed_to_go_on(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words that were typed of how a run goes on: its brakes, and its engine."""
    words = [
        word
        for name in BRAKES
        if options[name] is not None
        for word in (f"--{name.replace('_', '-')}", str(options[name]))
    ]
    if options["engine"] != LOCAL_ENGINE:
        words += ["--engine", options["engine"]]
    return tuple(words)


def typed_to_choose(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words that were typed of which targets are worked on."""
    return tuple(
        word
        for name in ("only", "exclude")
        for pattern in options[name]
        for word in (f"--{name}", pattern)
    )


def split(parser: CommandParser, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that the fleet's parser knows, and those of the command, in their order.

    The command's begin after its name; a fleet's own options may stand there too. What is OF_BOTH
    is among both.
    """
    options = parser._option_string_actions
    ours: list[str] = []
    others: list[str] = []
    named = False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        known = options.get(name if word.startswith("--") else word)
        if known is None:
            if named:
                others.append(word)
            else:
                ours.append(word)
                named = not word.startswith("-")
            continue
        words = [word]
        if known.nargs == "+":
            words += rest
            rest = []
        elif known.nargs != 0 and not equals and rest:
            words.append(rest.pop(0))
        ours += words
        if name in OF_BOTH:
            others += words
    return ours, others


def require_command(name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Return the command's options.

    Raises UsageError where it is not to be run on a fleet, or does not take the arguments.
    """
    if name not in COMMANDS:
        raise UsageError(
            f"{name!r} is no command that a fleet runs",
            id="no-fleet-command",
            hint=f"name one of {', '.join(COMMANDS)}",
        )
    for word in arguments:
        option = _meant(word, OF_THE_FLEET)
        if option is not None:
            hint = "choose the targets with --only and --exclude"
            if option != "--database":
                hint = "each target's report is written into the run's folder; leave it out"
            raise UsageError(
                f"{option} cannot be given to each target's {name}",
                id="no-fleet-command",
                hint=hint,
            )
    _require_own_files(arguments)
    parser = load_command_class("opsmigrate", name).create_parser("manage.py", name)
    try:
        return dict(vars(parser.parse_args(list(arguments))))
    except CommandError as error:
        raise UsageError(
            f"{name} does not take these arguments: {str(error).removeprefix('Error: ')}",
            id="no-fleet-command",
            hint=f"see python manage.py {name} --help, and python manage.py fleet --help",
        ) from error


def _meant(word: str, options: Sequence[str]) -> str | None:
    """Return which of the options is meant; argparse takes one by its beginning, too."""
    typed = word.partition("=")[0]
    known = [each for each in options if each.startswith(typed)]
    return known[0] if len(typed) > len("--") and known else None


def _require_own_files(arguments: Sequence[str]) -> None:
    """Raise UsageError where all targets would write to, or read, one file."""
    for number, word in enumerate(arguments):
        option, (_, equals, value) = _meant(word, OF_EACH_TARGET), word.partition("=")
        if option is None:
            continue
        file = value if equals else "".join(arguments[number + 1 : number + 2])
        if TARGET not in file:
            raise UsageError(
                f"{option} {file} would be one file for all targets",
                id="no-fleet-command",
                hint=f"write {TARGET} where the name of the target goes, as in "
                f"{option} 'reports/{TARGET}'",
            )
