"""The steps of the playbook in their order, and what each types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsmigrate.conf import PLAYBOOK_STEPS, Settings
from opsmigrate.playbook.command_process import CommandEnd
from opsmigrate.playbook.journal import JournalRun

BACKUP, BASELINE, PREFLIGHT, SEED, PREFLIGHT_AGAIN, MIGRATE, UAT = PLAYBOOK_STEPS
# What changes the live database: before the first of them there is nothing to roll back.
WRITE = (SEED, MIGRATE)
TITLES = {
    BACKUP: "back up, and restore it to see that it is a backup",
    BASELINE: "save what must be the same afterwards",
    PREFLIGHT: "would migrate apply?",
    SEED: "add and fill the column of SEED",
    PREFLIGHT_AGAIN: "would migrate apply now?",
    MIGRATE: "migrate",
    UAT: "accept",
}
MENDS = "python manage.py seed_payment_id"
# Of the plan of a seed: there is no column to fill, or the plan makes its table.
NOTHING_TO_SEED = {"no-seed-target", "missing-table"}
FAILED, USAGE = 1, 2


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed of the run as a whole, for its commands; `settings_module` as --settings."""

    alias: str
    base_url: str | None
    approval: str | None
    accept_undecided: bool
    migrate_options: tuple[str, ...]
    verbosity: int
    run_id: str
    settings_module: str | None


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Where the run stands: its settings, its journal, and the migrations applied by now."""

    settings: Settings
    asked: Asked
    run: JournalRun
    applied: tuple[str, ...]


def arguments_of(step: str, stand: Stand) -> list[str]:
    """Return the command of a step with its arguments; no secret is among them."""
    asked = stand.asked
    common = ["--database", asked.alias, "--no-input", "--verbosity", str(asked.verbosity)]
    approval = ["--approval", asked.approval] if asked.approval else []
    undecided = ["--accept-undecided"] if asked.accept_undecided else []
    site = ["--base-url", asked.base_url] if asked.base_url else []
    baseline = stand.run.fact(BASELINE, "file")
    own: Mapping[str, Sequence[str]] = {
        BACKUP: ["backup_db", "--verify", "restore"],
        BASELINE: ["run_uat", "--save-baseline", str(baseline_file(stand)), *site],
        PREFLIGHT: ["preflight_migrate", *undecided],
        # Approved is what the seed does, and not a copy on the live server.
        SEED: ["seed_payment_id", *approval],
        PREFLIGHT_AGAIN: ["preflight_migrate", *_with_backup(stand), *undecided],
        MIGRATE: ["migrate_safely", *_with_backup(stand), *undecided, *asked.migrate_options],
        UAT: ["run_uat", *(["--baseline", str(baseline)] if baseline else []), *site],
    }
    return [*own[step], *common]


def baseline_file(stand: Stand) -> Path:
    """Return where the baseline of this run is kept."""
    return (stand.settings.journal_dir / f"baseline_{stand.run.run_id}.json").resolve()


def _with_backup(stand: Stand) -> list[str]:
    # A backup counts for the migrations that it has: where a part is applied, that of the journal
    # is the one to roll back to.
    if stand.applied != stand.run.about.applied:
        return []
    return ["--require-backup", f"{stand.settings.backup_max_age_hours:g}"]


def is_mended_by_seed(end: CommandEnd) -> bool:
    """Return whether all that an examination found to be in the way is what the seed does."""
    errors = [each for each in end.report.get("findings", ()) if each["severity"] == "error"]
    return bool(errors) and all(
        any(step["text"].startswith(MENDS) for step in each["steps"]) for each in errors
    )


def facts_of(step: str, end: CommandEnd) -> dict[str, Any]:
    """Return what later steps, and the rollback, need of a step."""
    facts = end.report.get("facts", {})
    if step == BACKUP:
        file = facts.get("file")
        return {"file": str(Path(file).resolve()) if file else None, "sha256": facts.get("sha256")}
    if step == BASELINE:
        return {"file": facts.get("file")}
    if step == MIGRATE:
        return {"applied": facts.get("applied", [])}
    return {}
