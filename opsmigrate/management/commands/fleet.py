"""A command on many databases, or on many tenants' schemas, with one report of all."""

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings, load_settings
from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.fleet.about import About, folder_of, read_about, require_same
from opsmigrate.fleet.parts import merged_parts
from opsmigrate.fleet.run_folder import RunFolder
from opsmigrate.fleet.targets import Target, chosen, once_per_database, part_of, targets
from opsmigrate.formats.rendering import RENDERERS
from opsmigrate.management.base import ReportCommand
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.management.delivery import write_files
from opsmigrate.management.fleet_arguments import (
    add_fleet_arguments,
    require_command,
    split,
    typed_to_choose,
    typed_to_go_on,
)
from opsmigrate.management.fleet_run import FleetRun
from opsmigrate.report import Report, Result, Verdict
from opsmigrate.shown import shown

# A backup is of a database, with all of its schemas.
OF_A_DATABASE = ("backup_db",)
REPORT_FILES = {"report.txt": "text", "report.json": "json", "report.html": "html"}


class Command(ReportCommand):
    """fleet: a command on each target, so many at a time; stopped, resumed, and told as one."""

    help = (
        "Run a command on many databases, or on the schemas of many tenants: one verdict each, "
        "one report of all. A run that was stopped goes on with --resume."
    )
    formats = ("text", "json", "html")
    one_database = False
    _folder: Path | None = None

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser; what it does not know are arguments of the command that is run."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parse = parser.parse_args

        def parse_args(args: Any = None, namespace: Any = None) -> Any:
            ours, others = split(parser, args or [])
            found = parse(ours, namespace)
            found.arguments = others
            return found

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which targets there are, and how they are run."""
        super().add_arguments(parser)
        add_fleet_arguments(parser)
        parser.set_defaults(arguments=[])

    def run_id(self, options: dict[str, Any]) -> str:
        """Return the id of the run that goes on, else one as every command has."""
        return str(options["resume"] or super().run_id(options))

    def result(self, run_id: str, chosen: ChosenDatabase, options: dict[str, Any]) -> Result:
        """Run the command on each target, or list or merge what there is."""
        _require_together(options)
        settings = load_settings()
        with self.progress(options) as progress:
            if options["merge"]:
                return merged_parts([Path(each) for each in options["merge"]], settings.journal_dir)
            if options["list"]:
                return _listed(_targets(settings, options))
            about, folder, resumed = self._about(settings, run_id, options)
            with RunFolder(folder).in_use():
                # The report of one that is refused goes nowhere else.
                self._folder = folder
                return FleetRun(about, folder, settings, options, progress).result(resumed=resumed)

    def _about(
        self, settings: Settings, run_id: str, options: dict[str, Any]
    ) -> tuple[About, Path, bool]:
        """Return what the run is about, its folder, and whether it was begun before."""
        name, arguments = options["command"], tuple(options["arguments"])
        if options["resume"]:
            folder = folder_of(settings.journal_dir, options["resume"], options["part"])
            about = read_about(folder)
            require_same(
                about,
                command_=name,
                arguments=arguments,
                release=settings.release,
                options=typed_to_go_on(options),
            )
            return about, folder, True
        if name is None:
            raise UsageError(
                "no command is named",
                id="no-fleet-command",
                hint="name one, as in python manage.py fleet preflight_migrate",
            )
        require_command(name, arguments)
        if options["part"]:
            _require_id_of_all_parts()
        every = _targets(settings, options)
        if name in OF_A_DATABASE:
            every = once_per_database(every)
        mine = part_of(every, *options["part"]) if options["part"] else every
        about = About(
            run_id=run_id,
            command=name,
            arguments=arguments,
            release=settings.release,
            targets=mine,
            fleet=tuple(each.label for each in every),
            part=options["part"],
            chosen=typed_to_choose(options),
            options=typed_to_go_on(options),
        )
        folder = folder_of(settings.journal_dir, run_id, options["part"])
        files = RunFolder(folder)
        files.make()
        with files.in_use():
            files.write_about(about.as_json())
        return about, folder, False

    def write_reports(self, report: Report, options: dict[str, Any]) -> None:
        """Write the report into the run's folder, in each format."""
        if self._folder is not None:
            write_files(
                {
                    self._folder / name: RENDERERS[each](report)
                    for name, each in REPORT_FILES.items()
                }
            )


def _require_id_of_all_parts() -> None:
    """Raise UsageError where each part would be a run of its own, which nobody can merge."""
    if not os.environ.get("OPSMIGRATE_RUN_ID"):
        raise UsageError(
            "--part needs the id of the run, the same for all parts, and OPSMIGRATE_RUN_ID is not "
            "set",
            id="no-such-run",
            hint="set it to a name of the run, such as the release, for each part",
        )


def _require_together(options: dict[str, Any]) -> None:
    """Raise UsageError for options that say two things at once."""
    alone = [name for name in ("list", "resume", "merge") if options[name]]
    chosen_anew = [name for name in ("only", "exclude") if options[name]]
    if len(alone) > 1 or (options["merge"] and options["command"]):
        first, second = (f"--{each}" for each in [*alone, "COMMAND"][:2])
        raise UsageError(
            f"{first} does not go together with {second.replace('--COMMAND', 'a command')}",
            id="conflicting-options",
            hint="leave one of them out",
        )
    if options["resume"] and chosen_anew:
        raise UsageError(
            f"--resume does not go together with --{chosen_anew[0]}: a run keeps its targets",
            id="conflicting-options",
            hint="leave it out, or begin a new run",
        )


def _targets(settings: Settings, options: dict[str, Any]) -> tuple[Target, ...]:
    without = [settings.rehearse_on] if settings.rehearse_on else []
    every = targets(settings.fleet, _of_postgresql(), without=without)
    # What the project's function has opened would idle for as long as the run takes.
    connections.close_all()
    if not every:
        raise UsageError(
            "there are no targets",
            id="no-such-target",
            hint="see that DATABASES has a PostgreSQL database, and that the function of "
            'OPSMIGRATE["FLEET"] yields something',
        )
    found = chosen(every, only=options["only"], exclude=options["exclude"])
    if not found:
        raise UsageError(
            "--only and --exclude leave no target",
            id="no-such-target",
            hint="see what they are called with --list",
        )
    return found


def _of_postgresql() -> list[BaseDatabaseWrapper]:
    found = []
    for alias in connections:
        # An alias without an engine is none of ours.
        with suppress(ImproperlyConfigured):
            if connections[alias].vendor == "postgresql":
                found.append(connections[alias])
    return found


def _listed(every: Sequence[Target]) -> Result:
    return Result(
        verdict=Verdict.PASSED,
        summary=counted(len(every), "target"),
        text="\n".join(shown(each.label) for each in every),
        facts={"targets": [each.as_json() for each in every]},
    )
