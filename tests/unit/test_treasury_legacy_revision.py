"""The older revision of treasury.0001 is today's one without `payment_id`."""

from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.test import override_settings

INITIAL = ("treasury", "0001_initial")


def initial_state() -> ProjectState:
    return MigrationLoader(None).project_state(INITIAL)


def test_the_older_revision_differs_from_todays_by_payment_id_only() -> None:
    modules = {**settings.MIGRATION_MODULES, "treasury": "treasury.legacy.migrations"}
    with override_settings(MIGRATION_MODULES=modules):
        older = initial_state()
    today = initial_state()

    assert "payment_id" not in older.models["treasury", "payment"].fields
    del today.models["treasury", "payment"].fields["payment_id"]
    assert older == today
