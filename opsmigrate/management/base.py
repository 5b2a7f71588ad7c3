"""ReportCommand: options, output and exit codes of every command, once."""

import atexit
import gc
import os
import sys
import traceback
from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from io import TextIOWrapper
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import django
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import connections

from opsmigrate import __version__, interrupts
from opsmigrate.errors import OpsmigrateError, UndecidedError
from opsmigrate.interrupts import INTERRUPTED, Watch
from opsmigrate.management.crash import crash
from opsmigrate.management.database import ChosenDatabase
from opsmigrate.management.delivery import end_step, rendered, require_files, write_files
from opsmigrate.management.output import (
    Messages,
    columns_of_terminal,
    forget_unwritten,
    occupy_standard_descriptors,
)
from opsmigrate.management.shared_arguments import add_to_all
from opsmigrate.postgres.cancellation import Waits
from opsmigrate.postgres.tenant import in_schema
from opsmigrate.progress import Progress
from opsmigrate.report import WIDTH, Report, Result, Severity, Verdict
from opsmigrate.shown import shown
from opsmigrate.steps import aimed_text
from opsmigrate.workflow_commands import is_run_by_ci, without_commands

EPILOG = (
    f"Exit codes: {', '.join(f'{each.exit_code} {each.value}' for each in Verdict)}; "
    f"{INTERRUPTED} interrupted. What a finding means: manage.py preflight_migrate --explain ID. "
    "All commands and options: docs/commands.md."
)


class ReportCommand(BaseCommand, ABC):
    """A command that ends in a report, whatever happens; `result` does the work."""

    requires_system_checks = ()
    writes = False
    one_database = True
    # Of the report, for --format; a command of which people review the report has more.
    formats: ClassVar[Sequence[str]] = ("text", "json")
    messages: Messages
    _from_shell = False

    @property
    def name(self) -> str:
        """Return what is typed after manage.py."""
        return type(self).__module__.rsplit(".", 1)[-1]

    def get_version(self) -> str:
        """Return what --version prints: opsmigrate's version with Django's."""
        return f"opsmigrate {__version__}, Django {django.get_version()}"

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser; its help ends with the exit codes and where to read on."""
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that every command has."""
        add_to_all(parser, self.formats, one_database=self.one_database)
        if self.writes:
            parser.add_argument(
                "--dry-run", action="store_true", help="show what would be done; write nothing"
            )
            parser.add_argument(
                "--approval", metavar="TEXT", help="who approved this; required in production"
            )

    @abstractmethod
    def result(self, run_id: str, chosen: ChosenDatabase, options: dict[str, Any]) -> Result:
        """Do the command's work and return its result; `chosen` learns of which database it is."""

    def run_id(self, options: dict[str, Any]) -> str:
        """Return the id of the run: that of what has started it, else a new one."""
        return os.environ.get("OPSMIGRATE_RUN_ID") or uuid4().hex[:12]

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse bad input before anything is done; a command may have nothing to refuse."""

    @contextmanager
    def progress(self, options: dict[str, Any]) -> Iterator[Progress]:
        """Yield the progress that is written to stderr until the block ends."""
        progress = Progress(self.stderr, verbosity=options["verbosity"])
        try:
            yield progress
        finally:
            progress.done()

    def repeating(self, result: Result, options: dict[str, Any]) -> Result:
        """Return the result, whose steps repeat the arguments of this very command."""
        return result

    def write_reports(self, report: Report, options: dict[str, Any]) -> None:
        """Store the report elsewhere besides; a command may have nothing to do."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as from the shell; --traceback adds to stderr and changes no exit code."""
        occupy_standard_descriptors()
        if os.environ.get("NO_COLOR"):
            self.style = no_style()
            self.stderr.style_func = None
        if isinstance(sys.stdout, TextIOWrapper):
            # A name that the terminal's encoding lacks must not end the command.
            sys.stdout.reconfigure(errors="backslashreplace")
        self._from_shell = True
        # At its end Python would take all of Django apart, cycle by cycle: a tenth of the time.
        atexit.register(gc.freeze)
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, report, and raise CommandError with the verdict's exit code unless it passed."""
        self.stderr = self.messages = Messages(self.stderr)
        waits = Waits(connections.all(initialized_only=True))
        with (
            waits.known(),
            interrupts.watched(
                waits.insist,
                waits.end_where_silent,
                seconds=options.get("time_budget"),
                for_good=self._from_shell,
            ) as watch,
        ):
            self._handle(watch, options)

    def _handle(self, watch: Watch, options: dict[str, Any]) -> None:
        # A run may end before it is known where its reports can go.
        options["also_asked"], options["also"] = options.get("also") or (), {}
        started = datetime.now(timezone.utc)
        run_id = shown(self.run_id(options))
        chosen = ChosenDatabase()
        try:
            result, exit_code = self._ended(watch, run_id, chosen, options)
        finally:
            chosen.leave(stopped=watch.asked is not None)
        result = self.repeating(result.failing_on(Severity(options["fail_on"])), options)
        result = _aimed(result, options)
        report = Report(
            command=self.name,
            run_id=run_id,
            started=started,
            finished=datetime.now(timezone.utc),
            database=chosen.described(),
            result=result,
            exit_code=exit_code or result.verdict.exit_code,
        )
        try:
            self._deliver(report, options)
            self.write_reports(report, options)
        except OSError as error:
            why = shown(str(error))
            words = f"the report cannot be written: {why}; its text is:\n{report.as_text()}"
            self.messages.error(words)
            report = replace(report, exit_code=report.exit_code or Verdict.UNDECIDED.exit_code)
        self._end(report, options)

    def _end(self, report: Report, options: dict[str, Any]) -> None:
        if not report.exit_code:
            return
        message = shown(f"{report.result.verdict.value}: {report.result.summary}")
        if not self._from_shell:
            raise CommandError(message, returncode=report.exit_code)
        # On a terminal the text report says it already; a program's reader sees stderr.
        if options["output"] or options["format"] != "text":
            self.messages.error(f"{report.command} {message}")
        sys.exit(report.exit_code)

    def _written(self, text: str, style_func: Any = None) -> None:
        if self.stdout._out is None:
            raise OSError("stdout is closed")
        try:
            self.stdout.write(text, style_func)
            # What is kept back until Python ends fails then, with 120, or waits for ever.
            self.stdout.flush()
        except OSError:
            if self.stdout._out is sys.stdout:
                forget_unwritten(sys.stdout)
            raise

    def _ended(
        self, watch: Watch, run_id: str, chosen: ChosenDatabase, options: dict[str, Any]
    ) -> tuple[Result, int | None]:
        """Return the result, and the exit code where it is not the verdict's own."""
        try:
            try:
                watch.begin()
                self._require_files(options)
                self.prepare(options)
                result = self.result(run_id, chosen, options)
            finally:
                watch.end()
        except OpsmigrateError as error:
            result = error.as_result()
        except KeyboardInterrupt:
            return _interrupted(), INTERRUPTED
        except Exception as error:
            if options["traceback"]:
                self.messages.error(chosen.redact(traceback.format_exc()))
            result = crash(error, chosen).as_result()
        if watch.asked is None:
            return result, None
        # What failed after a signal failed because of it: it proves nothing.
        finished = result.verdict in (Verdict.PASSED, Verdict.PARTIAL)
        return result if finished else _interrupted(), INTERRUPTED

    def _require_files(self, options: dict[str, Any]) -> None:
        output, options["output"] = options["output"], None
        # Where one cannot be written, the report that says so goes to stdout.
        options["also"] = require_files(output, options["also_asked"], self.formats)
        options["output"] = output

    def _deliver(self, report: Report, options: dict[str, Any]) -> None:
        texts = {file: rendered(report, name) for file, name in options["also"].items()}
        if options["output"]:
            texts[Path(options["output"])] = rendered(report, options["format"])
        if texts:
            write_files(texts)
        if not options["output"]:
            self._print(report, options["format"])
        if options["format"] == "github":
            end_step(report)

    def _print(self, report: Report, format: str) -> None:
        if format == "text":
            # Who calls from code, or reads a file, has no terminal.
            text = report.as_text(columns_of_terminal(WIDTH) if self._from_shell else WIDTH)
        else:
            text = rendered(report, format)
        if is_run_by_ci():
            text = without_commands(text, format)
        if format != "text":
            self._written(text)
            return
        passed = report.result.verdict is Verdict.PASSED
        first, _, rest = text.partition("\n\n")
        self._written(first, self.style.SUCCESS if passed else self.style.ERROR)
        self._written(f"\n{rest}")


def _aimed(result: Result, options: dict[str, Any]) -> Result:
    """Return the result with hints that name the alias and the settings that were typed."""
    alias, settings = options["database"], options.get("settings")

    def aimed_at(text: str) -> str:
        return in_schema(aimed_text(text, alias, settings), os.environ)

    findings = tuple(
        replace(
            item,
            hint=item.hint and aimed_at(item.hint),
            steps=tuple(
                replace(step, text=aimed_at(step.text)) if step.kind == "command" else step
                for step in item.steps
            ),
        )
        for item in result.findings
    )
    return replace(result, findings=findings, again=result.again and aimed_at(result.again))


def _interrupted() -> Result:
    stopped = UndecidedError(
        "interrupted; nothing was changed",
        id="interrupted",
        hint="run it again; it removes what this run left behind",
    )
    return stopped.as_result()
