"""ARCHITECTURE.md and CONTRIBUTING.md name what is there, and the picture is the contract."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.guards.test_source import NO_NAMES, ROOT

PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md")
FOLDERS = ("opsmigrate", "treasury", "scripts", "tests", "docs")
LONGEST_PAGE = 132
# What stands between the names of a layer and the words about it.
GAP = re.compile(r" {3,}")
# What looks like a file of the tree: the folder that scripts/test.py makes, and a module of Django.
OTHERS = {".demo/", "psycopg_any.sql", *NO_NAMES}


def read(name: str) -> str:
    """Return a file of the project's folder."""
    return (ROOT / name).read_text(encoding="utf-8")


def names_in(layer: str) -> frozenset[str]:
    """Return the modules of a layer, as pyproject.toml or the picture writes it."""
    return frozenset(re.findall(r"\w+", layer))


def drawn() -> Iterator[frozenset[str]]:
    """Yield the layers of the picture, from above; a line that ends in ":" goes on in the next."""
    _, picture, _ = read("ARCHITECTURE.md").split("```", 2)
    layer = ""
    for line in picture.strip("\n").splitlines():
        layer += " " + GAP.split(line.strip())[0]
        if not layer.endswith(":"):
            yield names_in(layer)
            layer = ""


@cache
def paths() -> set[str]:
    """Return every file and folder that a page may name, each as `/folder/name`."""
    found = [ROOT / name for name in FOLDERS]
    found += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    return {f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}" for path in found}


def is_there(name: str, known: set[str]) -> bool:
    """Say whether a file or folder is called so, in whichever folder."""
    return any(path.endswith(f"/{name}") for path in known)


@cache
def defined() -> set[str]:
    """Return the names of all functions of the package."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "opsmigrate").rglob("*.py")]
    return {name for text in texts for name in re.findall(r"^ *def (\w+)\(", text, re.M)}


def test_the_picture_shows_the_contract_of_the_imports() -> None:
    _, _, rest = read("pyproject.toml").partition("layers = ")
    contract = [names_in(layer) for layer in ast.literal_eval(rest[: rest.index("\n]") + 2])]

    assert list(drawn()) == contract


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_files_folders_and_functions_that_are_there(page: str) -> None:
    text, known, functions = read(page), paths(), defined()
    files = re.findall(r"`([\w./-]+\.(?:py|sh|md|toml|ps1|sql)|[\w./-]+/)`", text)
    called = re.findall(r"`(?:[\w.]+\.)?(\w+)\(\)`", text)

    assert len(files) > 20
    assert [each for each in files if not (each in OTHERS or is_there(each, known))] == []
    assert [each for each in called if each not in functions | {"join"}] == []


def test_architecture_is_one_page() -> None:
    assert len(read("ARCHITECTURE.md").splitlines()) <= LONGEST_PAGE


def test_a_name_that_is_not_there_is_seen() -> None:
    known = {"/opsmigrate/", "/opsmigrate/report.py", "/docs/commands.md"}

    assert is_there("report.py", known)
    assert is_there("opsmigrate/report.py", known)
    assert is_there("opsmigrate/", known)
    assert not is_there("port.py", known)
    assert not is_there("docs/findings/", known)
