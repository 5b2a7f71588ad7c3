"""The staging playbook, typed line by line as its owner wrote it, in a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from tests.conftest import ROOT, environment_for, query, url_of
from tests.powershell import aliases_of_parameters, every, options_of, parsed
from tests.prepared import HASHERS, SITE_PASSWORD
from tests.sql_script import psql

# As they stand in the playbook, which is written for PowerShell on Windows.
ASK_FOR_PASSWORD = (
    '$env:PGPASSWORD = Read-Host -AsSecureString "Enter DB password" | ConvertFrom-SecureString'
)
BACK_UP = (
    "pg_dump -h STAGING_DB_HOST -p 5432 -U STAGING_DB_USER -F c -b -v"
    r" -f .\backups\staging_backup_$(Get-Date -Format yyyyMMdd_HHmmss).dump STAGING_DB_NAME"
)
SEED = (
    r".\scripts\add_payment_id.ps1 -DbHost <STAGING_DB_HOST> -DbPort 5432"
    " -DbName <STAGING_DB_NAME> -DbUser <STAGING_DB_USER>"
)
SEED_BY_HAND = "scripts/add_payment_id.sql"
LOOK = (
    "psql -h <STAGING_DB_HOST> -U <STAGING_DB_USER> -d <STAGING_DB_NAME> -c"
    ' "SELECT column_name, data_type FROM information_schema.columns'
    " WHERE table_name='treasury_payment';\"",
    "psql -h <STAGING_DB_HOST> -U <STAGING_DB_USER> -d <STAGING_DB_NAME> -c"
    ' "SELECT COUNT(*) FROM treasury_payment WHERE payment_id IS NULL;"',
)
MIGRATE = r"python .\manage.py migrate --settings=staging_settings"
ACCEPT = r"python .\scripts\run_uat.py --settings=staging_settings"
TO_READ = "reports/uat_report.txt"
# What the shell of this system says for what PowerShell says.
SAYS = {
    "$(Get-Date -Format yyyyMMdd_HHmmss)": "$(date +%Y%m%d_%H%M%S)",
    ".\\": "./",
    "\\": "/",
    "-p 5432": '-p "$PGPORT"',
}
Typed = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with what a fresh clone has, nothing that git ignores among it."""
    listed = subprocess.run(
        [
            shutil.which("git") or "git",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    folder = tmp_path / "clone"
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture
def drifted(new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the alias of the drifted staging database; its user has SITE_PASSWORD."""
    monkeypatch.setenv("TREASURY_STAGING_PASSWORD", SITE_PASSWORD)
    alias = new_database("playbook_")
    with override_settings(PASSWORD_HASHERS=HASHERS):
        call_command("make_legacy_staging", database=alias, rows=200, verbosity=0)
    return alias


@pytest.fixture
def typed(clone: Path, drifted: str, tmp_path: Path) -> Typed:
    """Return a function that types a line in the clone, with the names of the place."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("psql", "pg_dump"):
        (programs / name).symlink_to(Path(psql()).with_name(name))
    (programs / "date").symlink_to(str(shutil.which("date")))
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    place = connections[drifted].settings_dict
    names = {"HOST": "$PGHOST", "USER": "$PGUSER", "NAME": "$PGDATABASE"}
    variables = {
        "PGHOST": place["HOST"],
        "PGPORT": str(place["PORT"]),
        "PGUSER": place["USER"],
        "PGDATABASE": place["NAME"],
        "PGPASSWORD": place["PASSWORD"],
        "PATH": str(programs),
        "LOCAL_HTTP": "1",
        "UAT_USERNAME": "staging",
        "UAT_PASSWORD": SITE_PASSWORD,
    }

    def line(words: str) -> subprocess.CompletedProcess[str]:
        for said, meant in SAYS.items():
            words = words.replace(said, meant)
        for name, value in names.items():
            words = words.replace(f"<STAGING_DB_{name}>", f'"{value}"')
            words = words.replace(f"STAGING_DB_{name}", f'"{value}"')
        return subprocess.run(
            [shutil.which("sh") or "sh", "-c", words],
            cwd=clone,
            env=environment_for(url_of(drifted), **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return line


@pytest.mark.skipif(sys.platform == "win32", reason="typed into the shell of this system")
def test_every_line_of_the_playbook_works(clone: Path, typed: Typed, drifted: str) -> None:
    rows = query(drifted, "SELECT count(*) FROM treasury_payment")

    backed_up = typed(BACK_UP)
    assert backed_up.returncode == 0, backed_up.stderr
    [dump] = (clone / "backups").glob("staging_backup_*.dump")
    assert dump.read_bytes()[:5] == b"PGDMP"

    seeded = typed(f"psql -f {SEED_BY_HAND}")
    assert seeded.returncode == 0, seeded.stderr

    columns, empty = map(typed, LOOK)
    assert "payment_id" in columns.stdout
    assert empty.stdout.split()[:3] == ["count", "-------", "0"], empty.stdout + empty.stderr

    migrated = typed(MIGRATE)
    assert migrated.returncode == 0, migrated.stderr
    assert "Applying treasury.0002_phase6_dashboard_models... OK" in migrated.stdout

    accepted = typed(ACCEPT)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    report = (clone / TO_READ).read_text(encoding="utf-8")
    assert report.startswith("PASSED: ")
    assert ", served by this run\n" in report
    assert "key-urls (blocker" in report
    assert query(drifted, "SELECT count(*) FROM treasury_payment") == rows
    everything = report + accepted.stdout + accepted.stderr
    assert SITE_PASSWORD not in everything


def test_the_lines_of_powershell_are_powershell_and_fit_the_script() -> None:
    script = (ROOT / "scripts" / "add_payment_id.ps1").read_text(encoding="utf-8")
    known = aliases_of_parameters(parsed(script))
    seed = SEED.replace("<", "").replace(">", "")
    [command] = every(parsed(seed), "command")

    given = options_of(command)
    assert given == ["DbHost", "DbPort", "DbName", "DbUser"]
    assert set(given) <= set(known)
    # The others are the same in every shell, but for \\ and for $(…).
    parsed(ASK_FOR_PASSWORD)


@pytest.mark.faults
def test_the_lines_of_the_readme_work_against_an_empty_database(
    clone: Path, new_database: Callable[..., str], tmp_path: Path
) -> None:
    alias = new_database("readme_")
    text = (clone / "README.md").read_text(encoding="utf-8")
    block = text.partition("## Against the PostgreSQL of compose.yaml")[2].split("```sh\n")[1]
    lines = [
        line.partition("  #")
        for line in block.partition("```")[0].splitlines()
        if "manage.py" in line or "run_uat" in line
    ]
    settings = (clone / ".env.example").read_text(encoding="utf-8")
    given = {
        "DATABASE_URL": url_of(alias),
        "SECRET_KEY": "s1" * 30 + "abcdefgh",
        "TREASURY_STAGING_PASSWORD": "of the site",
        "UAT_PASSWORD": "of the site",
    }
    for name, value in given.items():
        settings = re.sub(
            rf"^{name}=.*$", lambda _, n=name, v=value: f"{n}={v}", settings, flags=re.M
        )
    (clone / ".env").write_text(settings, encoding="utf-8")
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    env = environment_for(None, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    env.pop("SECRET_KEY")

    said = []
    for line, _, comment in lines:
        done = subprocess.run(
            [shutil.which("sh") or "sh", "-c", line],
            cwd=clone,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said.append((line.strip(), done.returncode))
        expected = int(found[1]) if (found := re.search(r", (\d)$", comment)) else 0
        assert done.returncode == expected, f"{line}\n{done.stdout}{done.stderr}"
    assert len(said) == 7, said
