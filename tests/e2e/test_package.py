"""What is published: the same bytes for the same commit, and nothing that an index would refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts.environment import Environment
from scripts.package import PackageProblem, check, epoch_of, write_sbom
from tests.conftest import ROOT
from tests.packaged import EPOCH, Built, build_in, copy_of_source

TOOLS = Environment(Path(sys.prefix))


def test_another_folder_hour_and_umask_build_the_same_bytes(built: Built, tmp_path: Path) -> None:
    source = copy_of_source(tmp_path / "another place")
    for number, path in enumerate(sorted(each for each in source.rglob("*") if each.is_file())):
        path.chmod(0o600 if path.suffix else 0o777)
        os.utime(path, (number, EPOCH + number))

    again = build_in(tmp_path, source)

    assert (again.wheel.name, again.sdist.name) == (built.wheel.name, built.sdist.name)
    assert again.wheel.read_bytes() == built.wheel.read_bytes()
    assert again.sdist.read_bytes() == built.sdist.read_bytes()


def test_the_archives_tell_nobody_who_built_them(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()
    with ZipFile(built.wheel) as wheel:
        entries = wheel.infolist()
        assert wheel.testzip() is None

    assert {(each.uid, each.gid, each.uname, each.gname) for each in members} == {(0, 0, "", "")}
    assert {each.mtime for each in members} == {EPOCH}
    assert {each.date_time for each in entries} == {(2026, 3, 1, 0, 0, 0)}
    assert {each.external_attr >> 16 & 0o777 for each in entries} <= {0o644, 0o755}


def test_an_index_takes_them(built: Built) -> None:
    check(TOOLS, [built.wheel, built.sdist])


def test_what_an_index_refuses_is_a_problem(built: Built, tmp_path: Path) -> None:
    broken = tmp_path / built.wheel.name
    with ZipFile(built.wheel) as given, ZipFile(broken, "w") as made:
        for entry in given.infolist():
            # Without a description, which twine is strict about.
            text = given.read(entry)
            short = text.split(b"\n\n")[0] if entry.filename.endswith("METADATA") else text
            made.writestr(entry, short)

    with pytest.raises(PackageProblem, match="twine ended with 1"):
        check(TOOLS, [broken])


def test_the_time_is_that_of_the_last_commit_unless_one_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    asked = ["git", "log", "-1", "--format=%ct"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert epoch_of(ROOT) == int(said.stdout)
    with pytest.raises(PackageProblem, match="set SOURCE_DATE_EPOCH"):
        epoch_of(tmp_path)

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    assert epoch_of(tmp_path) == 7


@pytest.mark.long
def test_the_sbom_lists_the_wheel_and_what_it_needs_and_nothing_else(
    built: Built, tmp_path: Path
) -> None:
    target = tmp_path / "sbom.json"
    write_sbom(TOOLS, built.wheel, target)

    sbom = json.loads(target.read_text(encoding="utf-8"))
    assert sbom["bomFormat"] == "CycloneDX"
    main = sbom["metadata"]["component"]
    assert (main["name"], "timestamp" in sbom["metadata"]) == ("opsmigrate", False)
    names = {each["name"].lower() for each in sbom["components"]}
    assert {"django", "postgast", "rfc8785", "sqlparse"} <= names
    assert not names & {"pip", "pytest", "setuptools", "build", "jsonschema"}
    (depends,) = (each for each in sbom["dependencies"] if each["ref"] == main["bom-ref"])
    assert len(depends["dependsOn"]) == 4
