"""What run_uat is given to read may be anything: a sentence comes of it, and it waits for none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsmigrate.errors import RefusedError, UsageError
from opsmigrate.uat.baseline import record
from opsmigrate.uat.canonical import digest_of
from opsmigrate.uat.external_results import read_external_result, sealed
from tests.acceptance import accept, check_of
from tests.conftest import Ops
from tests.foreign_files import DEEP, KINDS, WRONG_VALUES
from tests.integration.test_foreign_files import _inner
from tests.json_reports import parsed
from tests.sites import site_that_answers

pytestmark = [pytest.mark.adversary, pytest.mark.usefixtures("own_registry")]


def resealed(file: Path, body: dict[str, Any]) -> None:
    body = {key: value for key, value in body.items() if key != "sha256"}
    file.write_text(json.dumps({**body, "sha256": digest_of(body)}), encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_ours_is_said_to_be_none(
    empty_database: str, ops: Ops, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "given.json"
    KINDS[kind](file)

    for option, ids in (
        ("baseline", {"baseline-unreadable", "baseline-missing"}),
        ("include", {"bad-included-file"}),
        ("verify_report", {"not-a-report"}),
    ):
        given: Any = [str(file)] if option == "include" else str(file)
        answer = accept(ops, empty_database, tmp_path / "reports", **{option: given})
        assert set(answer.ids) <= ids, answer.stdout
        assert answer.ids
        assert answer.code in (2, 4)


@pytest.mark.faults
def test_a_baseline_with_values_of_the_wrong_type_is_none(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    file = tmp_path / "before.json"
    assert ops("run_uat", database=staging, save_baseline=str(file)).code == 0
    good = parsed(file.read_text(encoding="utf-8"))
    one = next(iter(good["models"]))
    page = {"status": 200, "words": ["x"], "seconds": 0.1}
    cases = [
        ({**good, name: wrong}, name)
        for name, value in good.items()
        for wrong in [*WRONG_VALUES, *_inner(value)]
    ]
    cases += [({**good, "models": {one: wrong}}, "model") for wrong in _inner(good["models"][one])]
    cases += [({**good, "pages": {"/": wrong}}, "page") for wrong in _inner(page)]

    taken = []
    for body, name in cases:
        resealed(file, body)
        try:
            record._read(file)
        except RefusedError:
            continue
        taken.append((body, name))
    assert len(taken) < len(cases) * 0.3
    for body, name in taken:
        resealed(file, body)
        answer = accept(
            ops, staging, tmp_path / "r", baseline=str(file), check=["baseline-figures"]
        )
        assert "internal-error" not in answer.ids, (name, answer.stdout)


def test_an_included_file_with_values_of_the_wrong_type_is_none(
    empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    file = tmp_path / "load.json"
    good: dict[str, Any] = {
        "status": "PASS",
        "message": "fine",
        "seconds": 1.5,
        "base_url": None,
        "release": None,
        "tables": [{"title": "t", "rows": [["a", "b"], ["c", "d"]]}],
    }
    file.write_text(sealed("load-test", good), encoding="utf-8")
    assert (
        "bad-included-file"
        not in accept(
            ops, empty_database, tmp_path / "r", include=[str(file)], check=["migrations-on-disk"]
        ).ids
    )
    for name in [*good, "tool", "schema"]:
        for wrong in [*WRONG_VALUES, [{"title": 1, "rows": []}], [{"rows": [["a"]]}]]:
            resealed(file, {**json.loads(sealed("load-test", good)), name: wrong})
            try:
                outcome = read_external_result(file, base_url="http://x", release="1")
            except UsageError:
                continue
            assert json.dumps(outcome.as_fact())


@pytest.mark.faults
def test_a_report_with_values_of_the_wrong_type_is_none(
    empty_database: str, ops: Ops, tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    accept(ops, empty_database, folder, check=["migrations-on-disk"])
    page, file = folder / "uat_report.html", folder / "uat_report.json"
    good = json.loads(file.read_text(encoding="utf-8"))
    marked, written = '<script type="application/json" id="report">', page.read_text("utf-8")
    before, _, rest = written.partition(marked)
    _, closing, after = rest.partition("</script>")
    for name, value in good.items():
        for wrong in [*WRONG_VALUES, *_inner(value)]:
            resealed(file, {**good, name: wrong})
            body = file.read_text(encoding="utf-8").replace("</", "<\\/")
            page.write_text(f"{before}{marked}{body}{closing}{after}", encoding="utf-8")
            for each in (file, page):
                answer = ops("run_uat", database=empty_database, verify_report=str(each))
                assert "internal-error" not in answer.ids, (name, wrong, answer.stdout)


@pytest.mark.parametrize("body", ["[" * DEEP, '{"release":' * DEEP, '{"release": {}}', "\0", "{"])
def test_whatever_json_a_site_gives_of_its_health_the_check_says_what_it_saw(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any, body: str
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"HEALTH_URL": "/healthz"}}
    with site_that_answers(lambda path, number: (200, {}, body.encode())) as url:
        answer = accept(ops, migrated, tmp_path / "r", base_url=url, check=["release"])

    assert check_of(answer, "release")["status"] in ("NOT_RUN", "FAIL"), answer.stdout
