"""What the catalog, the migrations and the live rows say of a plan, without running it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models import Model

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog
from opsmigrate.postgres.garbage_collection import gc_frozen
from opsmigrate.postgres.session import Session
from opsmigrate.postgres.settings import READ_ONLY, resets_of
from opsmigrate.preflight.drift_findings import find_drift
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.old_release.changes import Walked
from opsmigrate.preflight.plan import (
    MigrateArguments,
    Plan,
)
from opsmigrate.preflight.plan_order import POST_MIGRATE
from opsmigrate.preflight.recovery.already_there import note_already_there
from opsmigrate.preflight.recovery.half_applied import note_half_applied
from opsmigrate.preflight.recovery.history_remedies import with_steps
from opsmigrate.preflight.recovery.renamed_indexes import note_renamed_indexes
from opsmigrate.preflight.walk.bookkeeping import require_post_migrate
from opsmigrate.preflight.walk.custom_migrate import (
    mark_custom_migrate_undecided,
    nothing_written,
)
from opsmigrate.preflight.walk.default_site import require_default_site
from opsmigrate.preflight.walk.event_triggers import mark_event_triggers_undecided
from opsmigrate.preflight.walk.history_writes import require_history
from opsmigrate.preflight.walk.pulpcore_receivers import require_pulpcore_receivers
from opsmigrate.preflight.walk.receivers import require_receivers
from opsmigrate.preflight.walk.renamed_permissions import require_renamed_permissions
from opsmigrate.preflight.walk.required_types import require_types
from opsmigrate.preflight.walk.row_counts import row_counter
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.syncdb import walk_syncdb
from opsmigrate.preflight.walk_plan import stopping_at_what_raises, walk_plan
from opsmigrate.progress import Progress
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.steps import Step as Command
from opsmigrate.steps import statement

# Foreign tables have rows, too.
TABLES_AND_FOREIGN = TABLE_KINDS | {"f", "m"}


@dataclass(frozen=True)
class Explaining:
    """What is explained; `interprets` says whether SQL written by hand is interpreted."""

    connection: BaseDatabaseWrapper
    session: Session
    plan: Plan
    catalog: Catalog
    arguments: MigrateArguments
    interprets: bool


@dataclass(frozen=True)
class Explained:
    """What the catalog, the migrations and the live rows say of the plan, without a rehearsal."""

    ledger: Ledger
    drifts: tuple[Drift, ...]
    walk: SchemaWalk | None
    walked: Walked | None

    @property
    def has_sql_by_hand(self) -> bool:
        """Return whether SQL was met that people wrote."""
        return self.walk is not None and self.walk.interpretation.passed_over


def explain(
    what: Explaining, seed_step: Callable[[str, str], Command | None], progress: Progress
) -> Explained:
    """Return what can be known of the plan without running it; changes nothing."""
    connection, plan, catalog, arguments = (
        what.connection,
        what.plan,
        what.catalog,
        what.arguments,
    )
    ledger = Ledger()
    ledger.add(*with_steps(connection, catalog, plan))
    drifts = find_drift(connection, plan.executor, catalog, ledger) if plan.executor else ()
    if plan.executor is None:
        return Explained(ledger, drifts, None, None)
    walk = SchemaWalk(
        connection,
        catalog,
        ledger,
        rows=row_counter(connection, ledger, fresh=_is_fresh(catalog)),
        seed_step=seed_step,
    )
    walk.interpretation.interprets = what.interprets
    mark_custom_migrate_undecided(connection, ledger)
    if plan.steps:
        _require_writable(connection, what.session, ledger)
    require_history(walk, plan)
    with nothing_written(connection):
        walked = _examine_steps(plan, arguments, walk, progress)
        mark_event_triggers_undecided(catalog, plan, ledger)
        if not arguments.fake:
            with stopping_at_what_raises(ledger):
                note_half_applied(connection, catalog, plan, ledger)
                note_already_there(connection, catalog, plan, ledger)
                note_renamed_indexes(connection, catalog, plan, ledger)
    return Explained(ledger, drifts, walk, walked)


def _is_fresh(catalog: Catalog) -> bool:
    """Return whether the database has no table but the history."""
    tables = [each for each in catalog.relations if each.kind in TABLES_AND_FOREIGN]
    return all(each.name == HISTORY for each in tables)


def _examine_steps(
    plan: Plan, arguments: MigrateArguments, walk: SchemaWalk, progress: Progress
) -> Walked | None:
    """Walk the plan, then ask about what migrate does after it, whether or not it has steps.

    Returns what the walk leaves; None where it changes no table, or did not come to its end.
    """
    state: ProjectState | None = None
    models: tuple[type[Model], ...] = ()
    with gc_frozen(), stopping_at_what_raises(walk.ledger):
        if arguments.run_syncdb:
            walk_syncdb(plan, arguments, walk)
        models, state = walk_plan(plan, arguments, walk, progress)
    require_types(walk)
    if walk.interpretation.has_begun:
        from opsmigrate.preflight.walk.hand_written import doubt_refused

        doubt_refused(walk)
    with walk.ledger.at(None, POST_MIGRATE):
        if state is not None:
            require_receivers(walk, state)
            require_default_site(walk, state)
            require_pulpcore_receivers(walk, state)
        unchanged = not plan.steps or arguments.fake
        require_post_migrate(() if unchanged else plan.steps, lambda: state, walk)
        if state is not None:
            require_renamed_permissions(plan, state, walk, faked=arguments.fake)
    unknown_since = walk.ledger.schema_unknown_since
    # What is found from here on does not come from the simulated schema.
    walk.ledger.schema_unknown_since = None
    return Walked(models, state, unknown_since) if state is not None and models else None


def _require_writable(connection: BaseDatabaseWrapper, session: Session, ledger: Ledger) -> None:
    """Report what prevents every migration: a standby, a read-only session."""
    if session.in_recovery or session.read_only:
        what = "a standby in recovery" if session.in_recovery else "set to read-only transactions"
        resets = () if session.in_recovery else resets_of(connection, READ_ONLY)
        ledger.find(
            "read-only",
            f"this session cannot write: it is {what}",
            hint="a superuser types this"
            if resets
            else "let DATABASES point to the primary, or unset default_transaction_read_only there",
            steps=tuple(map(statement, resets)),
        )
