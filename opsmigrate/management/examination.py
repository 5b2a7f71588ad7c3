"""The examination of a plan, for every command that asks for one: from what was typed."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opsmigrate.conf import Settings, seeded_field
from opsmigrate.counted import counted
from opsmigrate.errors import UsageError
from opsmigrate.guard import PRODUCTION, approved, require_backup
from opsmigrate.management.database import require_alias
from opsmigrate.management.database_command import Run
from opsmigrate.pgtools.kept_folder import reap_kept_folders
from opsmigrate.pgtools.temporary_folder import reap_temporary_folders
from opsmigrate.postgres.neighbours import Neighbours
from opsmigrate.preflight.examination import Examination
from opsmigrate.preflight.examine import examine
from opsmigrate.preflight.plan import MigrateArguments
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.rehearsal_result import REHEARSE, NotRehearsed, Rehearsal
from opsmigrate.schema.history import applied_migrations
from opsmigrate.steps import Step

# Where a database without any migration is more likely the wrong one than a new one.
LASTING = (PRODUCTION, "staging")


def arguments_of(options: dict[str, Any]) -> MigrateArguments:
    """Return the arguments of migrate that were typed."""
    return MigrateArguments(
        app_label=options["app_label"],
        migration_name=options["migration_name"],
        fake=options["fake"],
        fake_initial=options["fake_initial"],
        run_syncdb=options["run_syncdb"],
    )


def examined(
    run: Run, options: dict[str, Any], *, confirm: Callable[[str], bool] | None = None
) -> Examination:
    """Return whether `migrate` with the arguments that were typed will apply.

    `confirm` asks whether a clone that was named may be written to; None where nobody has to say.
    """
    arguments = arguments_of(options)
    if options.get("rehearse_in") is not None:
        require_alias(options["rehearse_in"], option="--rehearse-in")
        _require_alone(options)
    # Said also where no rehearsal follows: what was mistyped was meant.
    if options["rehearse_on"] is not None:
        require_alias(options["rehearse_on"], option="--rehearse-on")
    elif run.settings.rehearse_on is not None:
        require_alias(run.settings.rehearse_on, option='OPSMIGRATE["REHEARSE_ON"]')
    reap_temporary_folders()
    reap_kept_folders()
    backup = _backup(run, options["require_backup"])

    def result_of() -> Examination:
        return _examine(run, arguments, options, confirm)

    if not options.get("with_questions"):
        found = result_of()
        return replace(found, result=found.result.with_facts(backup=backup))
    # Loaded only where it is used.
    from opsmigrate.preflight.questions import questions_facts, recording

    with recording(run.connection) as recorder:
        found = result_of()
    questions = questions_facts(found.result, recorder)
    return replace(found, result=found.result.with_facts(backup=backup, questions=questions))


def _examine(
    run: Run,
    arguments: MigrateArguments,
    options: dict[str, Any],
    confirm: Callable[[str], bool] | None,
) -> Examination:
    return examine(
        run.connection,
        run.session,
        arguments,
        accept_undecided=options["accept_undecided"],
        seed_step=lambda table, column: _seed_step(run.settings, table, column),
        rehearse=lambda cures, neighbours: _rehearse(
            run, arguments, options, cures, confirm, neighbours
        ),
        rehearses=_mode(run, options) != "off",
        repeatable=options.get("rehearse_in") is None,
        why_odd_if_empty=lambda: _why_odd_if_empty(run),
        old_release=_old_release(run, options),
        progress=run.progress,
    )


def _rehearse(
    run: Run,
    arguments: MigrateArguments,
    options: dict[str, Any],
    cures: Cures,
    confirm: Callable[[str], bool] | None,
    neighbours: Neighbours,
) -> Rehearsal | NotRehearsed:
    if _mode(run, options) == "off":
        return NotRehearsed("a rehearsal was switched off", steps=(REHEARSE,), switched_off=True)
    # Loaded only where it is used, as it takes a while.
    from opsmigrate.management.rehearse_in import rehearse_in_clone
    from opsmigrate.management.rehearsing import Asked, rehearse_as_asked
    from opsmigrate.preflight.questions import unrecorded
    from opsmigrate.preflight.rehearsal.reaching_code import stays_within

    within = options.get("rehearse_in")
    asked = Asked(
        mode=_mode(run, options),
        try_old_release=_old_release(run, options) != "off",
        on=options["rehearse_on"],
        approval=options["approval"],
        trust_code=options["trust_code"],
        keep_copy=options.get("keep_copy", False),
    )
    with unrecorded(run.connection):
        if within is None and not asked.keep_copy and stays_within(run.connection, neighbours):
            asked = replace(asked, neighbours=neighbours)
        if within is None:
            return rehearse_as_asked(run, arguments, asked, cures)
        return rehearse_in_clone(run, arguments, asked, cures, alias=within, confirm=confirm)


def _mode(run: Run, options: dict[str, Any]) -> str:
    if options.get("rehearse_in"):
        return "clone"
    return str(options["rehearse"] or run.settings.rehearse)


def _require_alone(options: dict[str, Any]) -> None:
    """Raise UsageError where an option says otherwise than --rehearse-in, or nobody confirms it."""
    for name in ("rehearse", "rehearse_on", "keep_copy"):
        if options[name]:
            raise UsageError(
                f"--rehearse-in and --{name.replace('_', '-')} cannot be combined: the clone that "
                "is named is rehearsed in, and no copy is made",
                id="conflicting-options",
                hint="leave one of them out",
            )
    if not (options["no_input"] or sys.stdin.isatty()):
        raise UsageError(
            "there is no terminal to confirm on that the clone is written to",
            id="not-confirmed",
            hint="run it on a terminal, or confirm it with --no-input",
        )


def _old_release(run: Run, options: dict[str, Any]) -> str:
    return str(options["old_release"] or run.settings.old_release)


def _why_odd_if_empty(run: Run) -> str | None:
    """Return what speaks against a database to which no migration was applied, None for nothing."""
    from opsmigrate.manifest import read_manifests  # only here, where hardly a run comes

    name = run.session.database
    for manifest in read_manifests(run.settings.backup_dir):
        if manifest.migrations and manifest.database["name"] == name:
            applied = counted(len(manifest.migrations), "migration")
            return f"the backup {manifest.file} of a database of this name has {applied}"
    if run.settings.environment in LASTING:
        return f"this is {run.settings.environment}, where an empty database is unexpected"
    return None


def _backup(run: Run, hours: float | None) -> str | None:
    """Return the name of the backup that was asked for, None where none was; or refuse."""
    if hours is None:
        return None
    applied = applied_migrations(run.connection)
    return require_backup(run.settings, run.session, applied, hours=hours).file


def _seed_step(settings: Settings, table: str, column: str) -> Step | None:
    """Return the command that adds this very column, where the settings name it as the seed."""
    if settings.seed is None:
        return None
    model, field = seeded_field(settings.seed)
    if (table, column) == (model._meta.db_table, getattr(field, "column", None)):
        return approved(settings, "python manage.py seed_payment_id")
    return None
