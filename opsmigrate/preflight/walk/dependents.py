"""What goes with a column or a table, or forbids to change it: views, and what else rests on it."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import literal
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.conflict_remedies import without_view
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.report import Severity
from opsmigrate.steps import command, statement


def warn_of_cascade(
    ledger: Ledger,
    table: SimulatedTable,
    does: str,
    user: str,
    column: str | None = None,
) -> None:
    """Report what else a CASCADE would drop."""
    ledger.find(
        "dropped-by-cascade",
        f"{does} would silently drop {user} too",
        hint="first take a backup with its definition",
        steps=(command("python manage.py backup_db"),),
        table=table.label,
        column=column,
        severity=Severity.WARNING,
    )


def warn_of_views(
    ledger: Ledger,
    table: SimulatedTable,
    views: Iterable[str],
    does: str,
    column: str | None = None,
) -> None:
    """Report the views that a CASCADE would drop."""
    for view in views:
        ledger.find(
            "view-dropped-by-cascade",
            f"{does} would silently drop the view {view}",
            hint="save its definition first",
            steps=(statement(f"SELECT pg_get_viewdef({literal(view)}::regclass, true)"),),
            table=table.label,
            column=column,
            name=view.rpartition(".")[2].strip('"'),
            severity=Severity.WARNING,
        )


def views_forbid(  # noqa: PLR0913 - SchemaWalk has a short way to it
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    ledger: Ledger,
    table: SimulatedTable,
    views: list[str],
    does: str,
    column: str,
    *,
    stays: bool,
) -> None:
    """Report the views because of which PostgreSQL refuses the statement; `stays`: no drop."""
    for view in views:
        steps = without_view(connection, catalog, view, stays_valid=stays)
        hint = "drop the view, and recreate it after migrate"
        if len(steps) == 1:
            hint += "; save its definition first: "
            hint += f"SELECT pg_get_viewdef({literal(view)}::regclass, true)"
        ledger.find(
            "view-in-the-way",
            f"{does} is refused while the view {view} uses it",
            hint=hint,
            steps=steps,
            table=table.label,
            column=column,
            name=view.rpartition(".")[2].strip('"'),
        )


def column_in_use(
    ledger: Ledger, table: SimulatedTable, column: str, statement: str, user: str
) -> None:
    """Report what PostgreSQL names when it refuses the statement."""
    ledger.find(
        "column-in-use",
        f"{statement} is refused while {user} uses it",
        hint=f"drop {user}, and recreate it afterwards",
        table=table.label,
        column=column,
        name=user.removesuffix("()").rpartition(".")[2],
    )
