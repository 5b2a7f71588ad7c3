"""The pytest plugin in a project of its own: what preflight says, and what migrate does."""

from __future__ import annotations

from importlib.util import find_spec
from textwrap import dedent

import pytest

from tests.conftest import ROOT

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop", "opsmigrate"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "nowhere.invalid"},
    "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": "nowhere/at/all"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
MODELS = """
from django.db import models
class Order(models.Model):
    reference = models.CharField(max_length=9, unique=True)
"""
FIRST = """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Order", [
        ("id", models.BigAutoField(primary_key=True)),
        ("reference", models.CharField(max_length=9)),
    ])]
"""
SECOND = """
from django.db import migrations, models
def strict(apps, schema_editor):
    assert not apps.get_model("shop", "Order").objects.filter(reference="bad").exists()
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AlterField("order", "reference", models.CharField(max_length=9, unique=True)),
        migrations.RunPython(strict, migrations.RunPython.noop),
    ]
"""
TESTS = """
import pytest
from django.db import connection

ONCE = "INSERT INTO shop_order (reference) VALUES ('a')"
TWICE = "INSERT INTO shop_order (reference) VALUES ('a'), ('a')"


def test_good_rows(migrates):
    trial = migrates("shop.0001", "shop.0002", sql=ONCE)
    assert trial.applied and trial.agrees, trial
    assert (trial.verdict, trial.findings) == ("passed", ["old-release-writes"])
    from shop.models import Order
    assert Order.objects.get().reference == "a"
    assert connection.settings_dict["NAME"].startswith("migrates_")


def test_rows_in_the_way(migrates):
    trial = migrates("shop.0001", "shop.0002", sql=TWICE)
    assert not trial.applied
    assert trial.agrees, trial
    assert trial.findings == ["duplicate-values", "old-release-writes"]
    assert "IntegrityError" in trial.error
    # Another one in the same test, with a database of its own.
    again = migrates("shop", "shop", sql=[ONCE, "DELETE FROM shop_order"])
    assert (again.verdict, again.applied, again.findings) == ("passed", True, [])
    assert "the target is applied" in str(again)


def test_code_that_refuses(migrates):
    trial = migrates("shop.0001", sql="INSERT INTO shop_order (reference) VALUES ('bad')")
    assert (trial.verdict, trial.applied) == ("failed", False), trial
    assert "AssertionError" in trial.error
    assert str(trial).startswith("preflight: failed: migrate would fail")


def test_the_alias_is_what_it_was():
    assert connection.settings_dict["HOST"] == "nowhere.invalid"


def test_another_kind_of_database(migrates):
    with pytest.raises(RuntimeError, match="needs PostgreSQL, and .* is SQLite"):
        migrates("shop.0001", database="other")


def test_in_a_transaction(migrates):
    connection.in_atomic_block = True
    try:
        with pytest.raises(RuntimeError, match="leave out the mark django_db"):
            migrates("shop.0001")
    finally:
        connection.in_atomic_block = False
"""
PLUGIN = ("-p", "opsmigrate.pytest", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project with an app that has two migrations."""
    files = {
        "shop_settings": SETTINGS,
        "shop/__init__": "",
        "shop/models": MODELS,
        "shop/migrations/__init__": "",
        "shop/migrations/0001_initial": FIRST,
        "shop/migrations/0002_strict": SECOND,
    }
    for name, text in files.items():
        file = pytester.path / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    for name in ("DATABASE_URL", "OPSMIGRATE_ENVIRONMENT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop_settings")
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{ROOT}")
    # As the entry point does it, whether or not this very package is installed.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


@pytest.mark.parametrize(
    "plugin", [pytest.param("no:django", marks=pytest.mark.long), "pytest_django"]
)
def test_a_project_learns_what_its_migrations_do_to_rows(
    project: pytest.Pytester, plugin: str
) -> None:
    assert find_spec("pytest_django")
    project.makepyfile(test_shop=TESTS)

    result = project.runpytest_subprocess("-q", "-p", plugin, *PLUGIN)

    result.assert_outcomes(passed=6)


def test_without_a_server_it_says_what_to_install(project: pytest.Pytester) -> None:
    (project.path / "conftest.py").write_text(
        "from opsmigrate.pgtools import embedded\nembedded.PACKAGE = 'not_installed'\n"
    )
    project.makepyfile("def test_it(migrates): pass")

    result = project.runpytest_subprocess("-q", *PLUGIN)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the fixture migrates has no server: no embedded PostgreSQL*"])
    result.stdout.no_fnmatch_line("*During handling*")


def test_without_settings_it_says_what_to_set(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    project.makepyfile("def test_it(migrates): pass")

    result = project.runpytest_subprocess("-q", *PLUGIN)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["Set DJANGO_SETTINGS_MODULE, for example: *"])
    # One sentence, without what was raised before it.
    result.stdout.no_fnmatch_line("*During handling*")
    result.stdout.no_fnmatch_line("*conf/__init__.py*")
