"""What is said to be installed can be: by the names and bounds of the project, and no others."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NAMED = {each for extra in EXTRAS.values() for each in extra} | set(PROJECT["dependencies"])
INSTALL = re.compile(r"pip install (?P<what>[^\n`#;)]*)")
# A quoted word, or what stands without blanks.
WORD = re.compile(r"""'([^']*)'|\\?"([^"\\]*)\\?"|([^\s'"]+)""")
# Another Django is what a page is about.
OTHERS = {"Django==6.1", "Django~=5.2.0", "nox"}


def texts() -> list[Path]:
    """Return the texts and modules that say what to type."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "manage.py"]
    for folder in ("opsmigrate", "scripts", "treasury"):
        found += (ROOT / folder).rglob("*.py")
    return sorted(set(found) - {ROOT / "CHANGELOG.md"})


def asked_for(text: str) -> list[str]:
    """Return what each `pip install` of the text names, but for options, folders and files."""
    found = []
    for line in INSTALL.finditer(text):
        words = ["".join(match.groups("")) for match in WORD.finditer(line["what"])]
        for before, word in pairwise(["", *words]):
            if not (word.startswith("-") or before == "-r" or "/" in word):
                found.append(word)
    return found


def walk() -> list[str]:
    """Return the lines of requirements.txt, without comments."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_requirements_bring_all_that_opsmigrate_itself_needs() -> None:
    # It is imported from the checkout there, so nothing else brings it; Django brings sqlparse.
    needed = {each for each in PROJECT["dependencies"] if not each.startswith("sqlparse")}

    assert needed <= set(walk())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pip install 'a>=1' 'b[c]'", ["a>=1", "b[c]"]),
        ("command('python -m pip install \"a>=1,<2\"'), NEXT)", ["a>=1,<2"]),
        ("pip install -r requirements.txt 'a>=1'  # more", ["a>=1"]),
        ("pip install -e '.[dev]'` brings", [".[dev]"]),
        ("pip install --no-deps path/to/it", []),
    ],
)
def test_what_is_asked_for_is_read_out_of_a_text(text: str, words: list[str]) -> None:
    assert asked_for(text) == words


def test_nothing_is_installed_by_a_name_or_bounds_that_are_not_the_projects() -> None:
    asked = {
        (str(path.relative_to(ROOT)), word)
        for path in texts()
        for word in asked_for(path.read_text(encoding="utf-8"))
    }
    known = NAMED | set(walk()) | OTHERS | {".[dev]", ".[clients]"}

    # opsmigrate itself is on no index: whoever takes the name there would be installed.
    assert {(path, word) for path, word in asked if word not in known} == set()
    assert len(asked) > 8
