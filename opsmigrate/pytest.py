"""The pytest plugin: the fixture `migrates`, on a PostgreSQL server of the test run's own.

    def test_rows_of_old_are_no_obstacle(migrates):
        trial = migrates("shop.0003", "shop.0004", sql="INSERT INTO shop_order …")
        assert trial.applied and trial.agrees, trial

Nothing else of opsmigrate imports pytest, and this module imports nothing else of it before the
fixture is asked for. The server is the embedded one (the extra `clients`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from opsmigrate.management.migration_trial import Trial, TrialServer


@pytest.fixture(scope="session")
def migrates_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialServer]:
    """Yield the server; a project may have a fixture of this name, with another one."""
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise pytest.fail.Exception(
            f"the fixture migrates has no settings: {error}\nSet DJANGO_SETTINGS_MODULE, for "
            "example: DJANGO_SETTINGS_MODULE=mysite.settings python -m pytest",
            pytrace=False,
        ) from None
    from opsmigrate.management.migration_trial import TrialServer
    from opsmigrate.pgtools.embedded import EmbeddedServerError, running

    with ExitStack() as stack:
        try:
            folder = tmp_path_factory.mktemp("opsmigrate")
            server = stack.enter_context(running(folder, durable=False))
        except EmbeddedServerError as error:
            words = f"the fixture migrates has no server: {error}"
            raise pytest.fail.Exception(words, pytrace=False) from None
        yield TrialServer(server.url)


@pytest.fixture
def migrates(
    migrates_server: TrialServer, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Trial]]:
    """Yield `migrates(from_, to=None, *, sql=(), database="default", **options)`.

    It puts a new database at the migration `from_` ("app.0003", several of them, or None), executes
    `sql`, asks preflight_migrate about migrating to `to` (None: everything), and migrates. Returns
    a Trial: verdict, findings, report, applied, error, agrees. Until the test ends the alias leads
    to that database.
    """
    from opsmigrate.management.migration_trial import trials

    with ExitStack() as stack:
        if request.config.pluginmanager.has_plugin("django"):
            # pytest-django refuses the database to what it does not know.
            stack.enter_context(request.getfixturevalue("django_db_blocker").unblock())
        yield stack.enter_context(trials(migrates_server))
