"""Files that are sealed by a key: who has not got it can neither make nor change one."""

import hashlib
import hmac
import json
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from opsmigrate.backup.open_backup import open_backup
from opsmigrate.checks import check_settings
from opsmigrate.conf import load_settings
from opsmigrate.errors import RefusedError, SettingsError
from opsmigrate.manifest import read_manifests
from opsmigrate.postgres.session import Session
from opsmigrate.seal import ALGORITHM, canonical_json, require_keyed_seal, with_keyed_seal
from opsmigrate.uat.baseline.record import Baseline, identity, read_baseline, write_baseline
from opsmigrate.uat.canonical import digest_of
from opsmigrate.uat.reports.page import html_page
from opsmigrate.uat.reports.report_digest import verify_report
from tests.unit.test_manifest import FORMER, MANIFEST, edit, written
from tests.unit.test_uat_reports import check, report

KEY, OTHER_KEY = "a-key-of-the-project", b"another-key-of-others"
SESSION = Session(
    database="app",
    oid=16384,
    version=180000,
    version_text="18.0",
    system_identifier=74,
    user="own",
    in_recovery=False,
    read_only=False,
)


@pytest.fixture
def key(settings: Any) -> None:
    set_key(settings, KEY)


def set_key(settings: Any, value: object) -> None:
    settings.OPSMIGRATE = {"SEAL_KEY": value}


def a_manifest(folder: Path) -> Path:
    return written(folder)


def a_baseline(folder: Path) -> Path:
    baseline = Baseline(
        taken=datetime.now(timezone.utc).isoformat(),
        run_id="a-run",
        release=None,
        database=identity(SESSION),
        migrations=(),
        base_url=None,
        models={},
        pages={},
    )
    write_baseline(folder / "baseline.json", baseline)
    return folder / "baseline.json"


def a_report(folder: Path) -> Path:
    file = folder / "uat_report.json"
    file.write_text(json.dumps(report(check())))
    return file


def a_page(folder: Path) -> Path:
    file = folder / "uat_report.html"
    file.write_text(html_page(report(check()), {}), encoding="utf-8")
    return file


def read(file: Path) -> None:
    """Read the file as the commands do."""
    if file.name == "baseline.json":
        read_baseline(file, session=SESSION, applied=(), max_age_hours=24)
    elif file.name.startswith("uat_report"):
        assert verify_report(file).verdict.value == "passed"
    else:
        open_backup(str(file), file.parent)


KINDS = [a_manifest, a_baseline, a_report, a_page]


@pytest.mark.parametrize("make", KINDS)
def test_with_the_key_it_is_read_and_without_one_as_well(
    make: Any, settings: Any, tmp_path: Path, key: None
) -> None:
    file = make(tmp_path)
    read(file)
    settings.OPSMIGRATE = {}

    read(file)


@pytest.mark.parametrize("make", KINDS)
def test_without_a_seal_or_with_another_key_it_is_refused(
    make: Any, settings: Any, tmp_path: Path
) -> None:
    settings.OPSMIGRATE = {}
    file = make(tmp_path)
    read(file)  # old files remain readable as long as no key is set

    set_key(settings, KEY)
    with pytest.raises(RefusedError, match="no keyed seal, but SEAL_KEY is set") as unkeyed:
        read(file)
    set_key(settings, OTHER_KEY)
    file = make(tmp_path)
    read(file)
    set_key(settings, KEY)
    with pytest.raises(RefusedError, match="another key than SEAL_KEY") as other:
        read(file)

    assert {unkeyed.value.id, other.value.id} == {"seal-unkeyed"}
    for error in (unkeyed, other):
        assert KEY not in str(error.value)


def test_what_is_forged_with_its_own_sha256_made_anew_is_refused(tmp_path: Path, key: None) -> None:
    file = a_report(tmp_path)
    body = json.loads(file.read_text())
    seal = body.pop("keyed_seal")
    del body["sha256"]
    body["facts"]["forged"] = True

    file.write_text(json.dumps({**body, "sha256": digest_of(body), "keyed_seal": seal}))

    with pytest.raises(RefusedError, match="or was changed since"):
        verify_report(file)


def test_an_unkeyed_backup_does_not_count(settings: Any, tmp_path: Path) -> None:
    settings.OPSMIGRATE = {}
    written(tmp_path)
    assert read_manifests(tmp_path) == (MANIFEST,)

    set_key(settings, KEY)

    assert read_manifests(tmp_path) == ()


@pytest.mark.parametrize(
    "seal", [None, "x", [], {}, {"alg": "none", "value": ""}, {"alg": ALGORITHM, "value": "ü"}]
)
def test_a_seal_of_another_shape_is_refused(seal: object, tmp_path: Path, key: None) -> None:
    file = written(tmp_path)
    edit(file, keyed_seal=seal)

    with pytest.raises(RefusedError) as refused:
        read(file)

    assert refused.value.id == "seal-unkeyed"


def test_it_is_the_hmac_of_the_form_of_rfc_8785(key: None) -> None:
    body = {"b": 1.0, "a": "ü\n", "ﬀ": [], "\U0001f600": {"z": None}}
    seal = with_keyed_seal(body)["keyed_seal"]

    # RFC 8785, 3.2.3: sorted by UTF-16; 3.2.2.3: numbers as JavaScript writes them.
    form = '{"a":"ü\\n","b":1,"\U0001f600":{"z":null},"ﬀ":[]}'
    assert canonical_json(body) == form.encode() == rfc8785.dumps(body)
    made = hmac.new(KEY.encode(), form.encode(), hashlib.sha256).hexdigest()
    assert seal == {"alg": "HMAC-SHA-256 of RFC 8785", "value": made}


def test_what_that_form_cannot_hold_is_sealed_all_the_same(key: None) -> None:
    body = {"big": 1 << 63, "no number": float("nan"), "half": "\udc80", "day": TODAY}
    read_again = json.loads(json.dumps(with_keyed_seal(body), default=str))

    assert require_keyed_seal(read_again).keys() == body.keys()
    assert canonical_json({"a": (1 << 53) + 1}) != canonical_json({"a": 1 << 53})


TODAY = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("value", ["", "short", b"short", 12345678901234567890, ["a" * 32]])
def test_a_key_that_is_none_is_an_error_that_does_not_repeat_it(
    value: object, settings: Any
) -> None:
    set_key(settings, value)

    with pytest.raises(SettingsError, match="SEAL_KEY") as wrong:
        load_settings()

    assert not value or str(value) not in str(wrong.value)
    assert wrong.value.hint is not None
    assert "OPSMIGRATE_SEAL_KEY" in wrong.value.hint
    [step] = wrong.value.steps
    python, *arguments = shlex.split(step.text)
    made = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert python == "python"
    set_key(settings, made.stdout.strip())
    load_settings()
    assert [item.hint for item in check_settings()] == []
    set_key(settings, value)
    assert [item.hint.splitlines()[1] for item in check_settings()] == [f"  {step.text}"]


def test_the_key_may_stand_in_the_environment_and_is_in_no_settings_shown(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.OPSMIGRATE = {}
    monkeypatch.setenv("OPSMIGRATE_SEAL_KEY", KEY)
    file = written(tmp_path)

    assert "keyed_seal" in json.loads(file.read_text())
    assert KEY not in repr(load_settings())
    assert KEY not in file.read_text()


def test_a_baseline_of_version_0_1_0_is_still_read() -> None:
    """A literal file, as that version wrote it."""
    baseline = read_baseline(
        FORMER / "baseline.json",
        session=SESSION,
        applied=("auth.0001_initial",),
        max_age_hours=float("inf"),
    )

    assert baseline.models["treasury.Payment"].figures == {"count": "500"}
