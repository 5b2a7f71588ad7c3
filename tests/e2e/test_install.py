"""`pip install` of the wheel puts opsmigrate in, typed, and nothing else."""

import subprocess
import sys
from pathlib import Path

from opsmigrate.pages import page_of
from tests.conftest import ROOT

FINDINGS = ROOT / "docs" / "findings"
SCHEMAS = ROOT / "opsmigrate" / "json_schemas"


def test_only_opsmigrate_is_installed(installed: Path) -> None:
    assert sorted(path.name for path in installed.iterdir()) == [
        "opsmigrate",
        "opsmigrate-0.2.0.dist-info",
    ]


def test_it_is_typed_and_whole(installed: Path) -> None:
    there = {path.relative_to(ROOT) for path in (ROOT / "opsmigrate").rglob("*.py")}

    assert (installed / "opsmigrate" / "py.typed").is_file()
    assert {
        path.relative_to(installed) for path in (installed / "opsmigrate").rglob("*.py")
    } == there


def test_it_can_be_imported_from_there_alone(installed: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "import opsmigrate.uat as it; print(it.__file__)"],
        cwd="/",
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert asked.stdout.strip() == str(installed / "opsmigrate" / "uat" / "__init__.py")


def test_the_installed_package_has_the_page_of_every_finding(installed: Path) -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in FINDINGS.glob("*.md")}

    assert pages
    assert {
        path.name: path.read_text(encoding="utf-8")
        for path in (installed / "opsmigrate" / "findings").iterdir()
    } == pages


def test_the_installed_package_has_every_json_schema(installed: Path) -> None:
    schemas = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}

    assert "preflight_migrate.json" in schemas
    assert {
        path.name: path.read_text(encoding="utf-8")
        for path in (installed / "opsmigrate" / "json_schemas").iterdir()
    } == schemas


def test_pytest_finds_the_plugin_of_the_installed_package(installed: Path) -> None:
    (found,) = installed.glob("opsmigrate-*.dist-info/entry_points.txt")

    assert "[pytest11]\nopsmigrate = opsmigrate.pytest\n" in found.read_text(encoding="utf-8")
    others = [each for each in (installed / "opsmigrate").rglob("*.py") if each.name != "pytest.py"]
    assert [each for each in others if "import pytest" in each.read_text(encoding="utf-8")] == []


def test_the_installed_package_has_the_scripts_of_the_seed(installed: Path) -> None:
    scripts = {path.name: path.read_bytes() for path in (ROOT / "scripts").glob("add_payment_id.*")}

    assert len(scripts) == 3
    there = installed / "opsmigrate" / "backfill" / "scripts"
    assert {path.name: path.read_bytes() for path in there.iterdir()} == scripts


def test_the_installed_package_explains_a_finding_without_a_database(installed: Path) -> None:
    settings = "INSTALLED_APPS = ['opsmigrate']\nSECRET_KEY = 'x'\nDATABASES = {}\n"
    (installed / "bare_settings.py").write_text(settings)
    asked = subprocess.run(
        [sys.executable, "-m", "django", "preflight_migrate", "--explain", "long-lock"],
        cwd="/",
        env={"PYTHONPATH": str(installed), "DJANGO_SETTINGS_MODULE": "bare_settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    (installed / "bare_settings.py").unlink()

    assert asked.stdout == page_of("long-lock") + "\n"
