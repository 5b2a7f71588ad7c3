"""Roll back: restore a backup beside the live database, prove it, and let them change places."""

import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from opsmigrate.backup.open_backup import clients_for, open_backup
from opsmigrate.backup.rollback import (
    NotProvenError,
    RestoreJob,
    RollbackResult,
    restore_beside,
    roll_back,
    undo,
)
from opsmigrate.backup.rollback_checks import Loss
from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.guard import require_approval
from opsmigrate.management.database import require_alias
from opsmigrate.management.database_command import DatabaseCommand, Run
from opsmigrate.management.output import confirmed
from opsmigrate.management.shared_arguments import add_trust_code
from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.libpq import require_password_for_clients
from opsmigrate.postgres.names import quoted
from opsmigrate.report import Result, Verdict
from opsmigrate.scratch_rights import require_scratch_allowed
from opsmigrate.shown import shown
from opsmigrate.steps import aimed_text, command

MOST_LINES = 30


class Command(DatabaseCommand):
    """restore_db: the rollback, or a restore beside, or the rollback undone."""

    help = (
        "Roll back to a backup: restore it beside the live database, prove it, and swap the two; "
        "the former live database is kept."
    )
    # It is for the day when the code and the database do not fit.
    needs_clean_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file and what to do with it."""
        super().add_arguments(parser)
        parser.add_argument(
            "file", metavar="FILE", nargs="?", help="the backup, as backup_db named it"
        )
        parser.add_argument(
            "--into",
            metavar="NAME",
            help=("only restore, into the new database NAME; the live database is not touched"),
        )
        parser.add_argument(
            "--undo",
            action="store_true",
            help="swap the most recent former database back into the place of the live one",
        )
        parser.add_argument(
            "--keep-slots",
            action="store_true",
            help="go on although replication slots or subscriptions stay with the former database",
        )
        parser.add_argument(
            "--approval", metavar="TEXT", help="who approved this; required in production"
        )
        add_trust_code(parser)

    def prepare(self, options: dict[str, Any]) -> None:
        """Refuse what does not go together, and a question that nobody would see."""
        require_alias(options["database"], option="--database")
        if options["undo"] == bool(options["file"]) or (options["undo"] and options["into"]):
            raise UsageError(
                "restore_db takes the FILE of a backup, or --undo without one",
                id="no-backup-given",
                hint="give the file of a backup, or --undo; see which backups there are",
                steps=(command("python manage.py backup_db --list"),),
            )
        asks = not options["no_input"] and options["into"] is None
        if asks and not sys.stdin.isatty():
            raise UsageError(
                "there is no terminal to confirm the loss on",
                id="not-confirmed",
                hint="run it on a terminal, or accept the loss with --no-input",
            )

    def run(self, run: Run, **options: Any) -> Result:
        """Restore, or undo."""
        if options["undo"]:
            return self._undo(run, options)
        file, manifest = open_backup(options["file"], run.settings.backup_dir)
        if options["into"] is None:
            require_approval(run.settings, action="restore_db", approval=options["approval"])
        require_scratch_allowed(run.connection)
        require_password_for_clients(run.connection)
        job = self._job(run, manifest, options)
        facts = {"file": str(file), "approval": options["approval"]}
        try:
            if options["into"] is not None:
                proof = restore_beside(job, file, manifest, options["into"])
                return Result(
                    verdict=Verdict.PASSED,
                    summary=f"{file.name} is restored in the database {options['into']}, and "
                    "proven; the live one was not touched",
                    findings=proof.findings,
                    undecided=proof.undecided,
                    facts={
                        **facts,
                        "into": options["into"],
                        "restored_on": proof.where,
                        **_belongs(manifest),
                    },
                )
            done = roll_back(job, file, manifest)
        except NotProvenError as error:
            return Result(
                verdict=Verdict.FAILED,
                summary=f"{error}; the live database is as it was",
                findings=error.findings,
                facts=facts,
            )
        release = f"release {manifest.release}" if manifest.release else "the release of that time"
        return Result(
            verdict=Verdict.PASSED,
            summary=f"{run.session.database} is as it was at {manifest.taken[:19]}; the former "
            f"live database is kept as {done.swapped.former}",
            findings=done.proof.findings if done.proof else (),
            undecided=done.proof.undecided if done.proof else (),
            facts={
                **facts,
                "restored_on": done.proof.where if done.proof else None,
                **_belongs(manifest),
                **_facts(done),
            },
            detail=(
                "Lost, but still in the former database:",
                *_shown(done.loss),
                "",
                f"Belongs to it: {release}, with {counted(len(manifest.migrations), 'migration')} "
                "applied; start that, not the newer one.",
                *_afterwards(done, options),
            ),
        )

    def _undo(self, run: Run, options: dict[str, Any]) -> Result:
        require_approval(run.settings, action="restore_db", approval=options["approval"])
        done = undo(self._job(run, None, options))
        return Result(
            verdict=Verdict.PASSED,
            summary=f"{run.session.database} is the former database again; the restored one is "
            f"kept as {done.swapped.former}",
            findings=done.strangers,
            facts={"approval": options["approval"], **_facts(done)},
            detail=(
                "Lost, but still in the former database:",
                *_shown(done.loss),
                "",
                *_afterwards(done, options),
            ),
        )

    def _job(self, run: Run, manifest: Manifest | None, options: dict[str, Any]) -> RestoreJob:
        pg_bin, major = run.settings.pg_bin, run.session.major
        return RestoreJob(
            connection=run.connection,
            session=run.session,
            clients=clients_for(manifest, major, pg_bin)
            if manifest
            else find_clients(major, pg_bin),
            run_id=run.id,
            maintenance_db=run.settings.maintenance_db,
            progress=run.progress,
            keep_slots=options["keep_slots"],
            confirm=None if options["no_input"] else self._confirm,
            trust_code=options["trust_code"],
        )

    def _confirm(self, loss: Loss) -> bool:
        self.stderr.write("This would be lost, written since the backup:")
        self.stderr.write("\n".join(map(shown, _shown(loss))))
        return confirmed(self.messages)


def _shown(loss: Loss) -> list[str]:
    lines = loss.lines() or ["  nothing, according to the server's statistics"]
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"  … and {more} more, see --format json"] if more > 0 else [])]


def _afterwards(done: RollbackResult, options: dict[str, Any]) -> Iterator[str]:
    """Yield what to type where this was a mistake, and when all is well."""
    undo = "python manage.py restore_db --undo"
    if options["approval"]:
        undo += f" --approval {shlex.quote(options['approval'])}"
    yield "To undo:"
    yield f"  {aimed_text(undo, options['database'], options.get('settings'))}"
    yield "When everything is in order, drop the former database:"
    yield f"  {shown(f'DROP DATABASE {quoted(done.swapped.former)}')};"


def _belongs(manifest: Manifest) -> dict[str, Any]:
    return {"release": manifest.release, "migrations": list(manifest.migrations)}


def _facts(done: RollbackResult) -> dict[str, Any]:
    return {
        "former_database": done.swapped.former,
        "outage_seconds": round(done.swapped.outage_seconds, 3),
        "lost_writes": [asdict(each) for each in done.loss.written],
        "migrations_undone": list(done.loss.migrations),
        "tables_without_rows": list(done.loss.left_out),
    }
