"""The examples on the pages of findings: the bad one raises it, the good one applies."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import ProgrammingError, connections

from opsmigrate.report import Severity
from tests.conftest import ROOT, Answer, Ops, execute, query
from tests.finding_pages import NO_MAJOR, ids_noted, majors_of, notes_of, page_ids, text_of
from tests.guards.test_docs import PACKAGE, finding_ids, ids_with_steps, sections, trees
from tests.guards.test_findings_index import NAMES, page
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist, alternatives

COMMAND = PACKAGE / "management" / "commands" / "preflight_migrate.py"


def preflight_trees() -> list[ast.Module]:
    """Return the syntax trees of what finds something for preflight_migrate.

    They are a large part of the memory of a run of all tests, and are not kept.
    """
    command = ast.parse(COMMAND.read_text(encoding="utf-8"))
    return [*trees(PACKAGE / "preflight"), *trees(PACKAGE / "schema"), command]


IDS = finding_ids(preflight_trees())
# Why an example cannot be run, as the page's note says it.
WHY_NOT_RUN = {
    "it is about migration files",
    "it is about settings",
    "it is about the apps contenttypes and auth",
    "it is about code of the project",
    "it is about the rehearsal",
    "it is about the installation",
    "it is about what is typed",
    "it takes a connection pooler",
    "it takes a server with prepared transactions",
    "it takes a server with replication",
    "it takes statements that last long",
    "it takes thousands of tables",
    "it takes an older server",
    "it takes other sessions",
    "it is about all databases of the server",
    "it is about several servers",
}
BLOCK = re.compile(r"^```(sql|python|sh)(?: (applied|harm))?\n(.+?)\n```$", re.M | re.S)
OWNED = """
ALTER TABLE zoo_cage OWNER TO deploy;
ALTER TABLE django_migrations OWNER TO deploy;
GRANT USAGE, CREATE ON SCHEMA public TO deploy;
"""


RUN = sorted(id for id in IDS & page_ids() if "not run" not in notes_of(id))
# Those of drift: test_drift_remedies.py.
CURED = [id for id in RUN if not id.startswith("drift-") and majors_of(id).stop == NO_MAJOR]


@dataclass(frozen=True)
class Example:
    """The blocks of an example, by language and purpose; None where it has none."""

    blocks: dict[tuple[str, str], str]

    def get(self, language: str, purpose: str = "") -> str | None:
        """Return a block."""
        return self.blocks.get((language, purpose))


def examples(id: str) -> tuple[Example, Example]:
    """Return the bad and the good example; what the good one leaves out is as in the bad one."""
    said = sections(text_of(id))
    bad = {(a, b): text for a, b, text in BLOCK.findall(said["Bad example"])}
    good = {(a, b): text for a, b, text in BLOCK.findall(said["Good example"])}
    return Example(bad), Example({**bad, **good})


@dataclass
class Zoo:
    """A database in the state that an example describes, with its migrations."""

    alias: str
    target: tuple[str, ...]
    ops: Ops

    def preflight(self, *, old_release: str = "off") -> Answer:
        """Ask."""
        return self.ops(
            "preflight_migrate",
            "zoo",
            *self.target,
            database=self.alias,
            old_release=old_release,
        )

    def migrate(self) -> str | None:
        """Do it; return why it fails."""
        return migrate(self.alias, "zoo", *self.target)


Prepare = Callable[[Example], Zoo]


@pytest.fixture
def prepare(
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> Prepare:
    """Return a function that makes the database of an example."""

    def make(example: Example) -> Zoo:
        alias = new_database("page ")
        before = [CAGE, *filter(None, [example.get("python", "applied")])]
        write_migrations(*before)
        assert migrate(alias, "zoo") is None
        statements = example.get("sql") or ""
        if re.search(r"\bdeploy\b", statements):
            account = role()
            statements = f"{OWNED}{statements}".replace("deploy", f'"{account["USER"]}"')
            execute(connections[alias], statements)
            connections[alias].close()
            connections[alias].settings_dict.update(account)
        elif statements:
            execute(connections[alias], statements)
        pending = example.get("python")
        write_migrations(*before, *filter(None, [pending]))
        command = example.get("sh")
        return Zoo(alias, tuple(command.split()[4:]) if command else (), ops)

    return make


def findings(zoo: Zoo, id: str) -> list[dict[str, Any]]:
    """Return what is found, without information; with it, where the page is about some."""
    about_info = id.startswith("drift-")
    old_release = "warn" if id.startswith("old-release-") else "off"
    return [
        each
        for each in zoo.preflight(old_release=old_release).report["findings"]
        if each["severity"] != "info" or (about_info and each["id"] != "not-rehearsed")
    ]


def of_id(zoo: Zoo, id: str) -> list[dict[str, Any]]:
    """Return what is found of this id."""
    return [each for each in findings(zoo, id) if each["id"] == id]


def others(found: Sequence[Mapping[str, Any]], id: str) -> set[str]:
    """Return what is found besides the finding of a page, and does not stand in its note."""
    noted = set(notes_of(id).get("also found", "").split(", "))
    return {each["id"] for each in found} - {id} - noted


def is_of_this_server(id: str) -> bool:
    """Say whether a server of this version refuses what the page is about."""
    return connections["default"].pg_version // 10_000 in majors_of(id)


def nothing_is_found(id: str, bad: Example, prepare: Prepare) -> bool:
    """Say whether this server, of another version, takes the example, or does not know it."""
    try:
        zoo = prepare(bad)
    except ProgrammingError as error:
        return "syntax error" in str(error)
    return zoo.preflight().ids == []


@pytest.mark.parametrize(
    "id",
    [pytest.param(id, marks=pytest.mark.major) if "servers" in notes_of(id) else id for id in RUN],
)
def test_the_bad_example_raises_the_finding_and_the_good_one_does_not(
    id: str, prepare: Prepare
) -> None:
    bad, good = examples(id)
    if not is_of_this_server(id):
        assert nothing_is_found(id, bad, prepare)
        return
    zoo = prepare(bad)

    found = findings(zoo, id)
    failure = zoo.migrate()

    assert [each["id"] for each in found][:1] == [id], "the bad example must raise it first"
    assert NAMES[Severity(found[0]["severity"])] == page(id).severities[0]
    assert others(found, id) == set(), (
        f"the bad example of {id} raises these too: let the rules exclude each other, or note "
        f"`also found` on its page"
    )
    assert (failure is not None) == (found[0]["severity"] == "error"), failure
    harm = bad.get("sql", "harm")
    if harm:
        assert query(zoo.alias, harm) == [(True,)]
    elif found[0]["severity"] == "warning":
        assert notes_of(id).get("no harm"), "show the harm of a warning: ```sql harm"

    zoo = prepare(good)
    assert others(findings(zoo, id), id) == set(), f"of the good example of {id}"
    assert id not in [each["id"] for each in findings(zoo, id)]
    assert zoo.migrate() is None
    if harm:
        assert query(zoo.alias, harm) != [(True,)]


@pytest.mark.parametrize("id", CURED)
def test_the_steps_of_a_finding_cure_its_bad_example(
    id: str, prepare: Prepare, typist: Typist
) -> None:
    bad, _ = examples(id)
    if not is_of_this_server(id):
        assert nothing_is_found(id, bad, prepare)
        return
    zoo = prepare(bad)
    found = of_id(zoo, id)
    notes = notes_of(id)
    if "no steps" in notes:
        assert found[0]["steps"] == []
        assert found[0]["hint"]
        return
    assert found, "the bad example must raise it"
    assert found[0]["steps"], "say what to type, or note `no steps` on the page"
    # What only a rehearsal can tell, such as what hand-written SQL does, is as open behind a
    # warning as it was before.
    ends = {0, zoo.preflight().code} if found[0]["severity"] == "warning" else {0}
    for alternative in alternatives(found[0]):
        if alternative > 1:
            zoo = prepare(bad)
            found = of_id(zoo, id)
        typist.type_each(zoo.alias, found, alternative=alternative)

        assert bool(of_id(zoo, id)) == ("after the steps" in notes)
        if zoo.preflight().code not in ends:
            # What was behind it is said now, with its steps.
            assert typist.type_each(zoo.alias, errors(zoo))
        assert zoo.preflight().code in ends
        assert zoo.migrate() is None


def errors(zoo: Zoo) -> list[dict[str, Any]]:
    """Return what is found of errors."""
    return [each for each in zoo.preflight().report["findings"] if each["severity"] == "error"]


def test_every_finding_with_steps_has_them_typed_or_says_why_not() -> None:
    typed, not_typed = ids_noted("steps typed in"), ids_noted("steps not typed")

    assert ids_with_steps(preflight_trees()) - set(CURED) == typed | not_typed
    assert typed & not_typed == set()
    for file in {notes_of(id)["steps typed in"] for id in typed}:
        assert "typist.type(" in (ROOT / file).read_text(encoding="utf-8"), file
    assert ids_noted("no steps") | ids_noted("after the steps") <= set(CURED)
    assert ids_noted("no steps") & ids_noted("after the steps") == set()


def test_a_page_whose_examples_are_not_run_says_why() -> None:
    assert {notes_of(id)["not run"] for id in IDS - set(RUN)} == WHY_NOT_RUN
