"""The examples on the pages of findings: the bad one raises it, the good one applies."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import ProgrammingError, connections

from opsmigrate.report import Severity
from tests.conftest import Answer, Ops, execute, query
from tests.cures import SHOWN, Typist, alternatives
from tests.guards.test_docs import (
    PACKAGE,
    PAGES,
    finding_ids,
    ids_with_steps,
    sections,
    trees,
)
from tests.guards.test_findings_index import NAMES, page
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate

COMMAND = PACKAGE / "management" / "commands" / "preflight_migrate.py"
TREES = [
    *trees(PACKAGE / "preflight"),
    *trees(PACKAGE / "schema"),
    ast.parse(COMMAND.read_text(encoding="utf-8")),
]
IDS = finding_ids(TREES)
# What is no rule about a plan and a database, by what its page says.
NOT_RUN = {
    "it is about migration files": {
        "broken-graph",
        "conflicting-migrations",
        "squash-partly-applied",
    },
    "it is about settings": {"empty-database"},
    "it is about the apps contenttypes and auth": {"insert-refused", "permission-exists"},
    "it is about code of the project": {"drift-unknown"},
    "it is about the rehearsal": {
        "broken-check",
        "broken-foreign-key",
        "broken-not-null",
        "broken-unique",
        "copy-gave-way",
        "copy-failed",
        "no-scratch-database",
        "not-rehearsed",
        "rehearsal-broken",
        "rehearsal-failed",
        "stale-copy",
    },
    "it is about the installation": {"no-grammar"},
    "it is about what is typed": {
        "ambiguous-migration",
        "app-without-migrations",
        "syncdb-of-migrated-app",
        "unknown-app",
        "unknown-migration",
    },
    "it takes a connection pooler": {"pooled-by-transaction"},
    "it takes a server with prepared transactions": {"prepared-transaction"},
    "it takes a server with replication": {
        "inactive-slot",
        "no-synchronous-standby",
        "standby-behind",
    },
    "it takes statements that last long": {"timeout-too-short"},
    "it takes thousands of tables": {"lock-table-full"},
    "it takes an older server": {"constraint-not-created"},
    "it takes other sessions": {
        "activity-hidden",
        "blocking-session",
        "migrate-under-way",
        "old-snapshot",
    },
    "it is about all databases of the server": {"wraparound-near"},
}
# Said still after the steps were typed, and why.
STAYS = {
    "the plan does it all the same, and what it loses is kept": {
        "dropped-by-cascade",
        "named-in-function",
        "value-cut-off",
        "view-dropped-by-cascade",
    }
}
# With steps, but the page is not run: where they are typed, or why they are not.
TYPED_ELSEWHERE = {
    "test_another_migrate.py": {"migrate-under-way"},
    "test_broken_checks.py": {"broken-check"},
    "test_broken_keys.py": {"broken-foreign-key"},
    "test_broken_rows.py": {"broken-not-null", "broken-unique"},
    "test_live_environment.py": {"inactive-slot", "prepared-transaction"},
    "test_moment.py": {"activity-hidden", "blocking-session", "old-snapshot"},
    "test_preflight_plan.py": {
        "ambiguous-migration",
        "app-without-migrations",
        "syncdb-of-migrated-app",
        "unknown-app",
        "unknown-migration",
    },
    "test_preflight_receivers.py": {"insert-refused"},
    "test_rehearsal_causes.py": {"rehearsal-failed"},
    "test_renamed_permissions.py": {"permission-exists"},
    "test_reported_besides.py": {"wraparound-near"},
    "test_timeouts.py": {"timeout-too-short"},
    "they are another rehearsal, or none": {
        "copy-failed",
        "copy-gave-way",
        "no-scratch-database",
        "not-rehearsed",
        "rehearsal-broken",
        "stale-copy",
    },
    "it installs a package": {"no-grammar"},
    "it asks whether to": {"conflicting-migrations"},
    "it shows what a standby of one's own would take a while to have": {"standby-behind"},
}
BLOCK = re.compile(r"^```(sql|python|sh)(?: (applied|harm))?\n(.+?)\n```$", re.M | re.S)
OWNED = """
ALTER TABLE zoo_cage OWNER TO deploy;
ALTER TABLE django_migrations OWNER TO deploy;
GRANT USAGE, CREATE ON SCHEMA public TO deploy;
"""


def text_of(id: str) -> str:
    """Return a page."""
    return (PAGES / f"{id}.md").read_text(encoding="utf-8")


RUN = sorted(
    id for id in IDS if (PAGES / f"{id}.md").exists() and "<!-- not run" not in text_of(id)
)


# What only some servers refuse: from which version on, and up to which.
OF_SERVERS = {
    "unsupported-by-server": (0, 180_000),
    "constraint-in-the-way": (180_000, 1_000_000),
    "function-needs-path": (170_000, 1_000_000),
}
# What an older server cannot even have: it refuses the example itself.
UNKNOWN_BEFORE = {"constraint-in-the-way"}
# Those of drift: test_drift_cured.py.
CURED = [id for id in RUN if not id.startswith("drift-") and id != "unsupported-by-server"]


# Nothing to type: the hint says which decision is needed.
WORDS_ONLY = {
    "the migration must be changed": {
        "concurrently-in-transaction",
        "concurrently-on-partitioned",
        "inherited-column",
        "is-a-partition",
        "long-lock",
        "malformed-statement",
        "missing-collation",
        "not-immutable",
        "not-null-without-default",
        "operation-raises",
        "partition-key-missing",
        "unique-with-one-default",
    },
    "who made it must make it again, for the new type": {
        "column-in-use",
        "expression-in-the-way",
    },
    "the values must be looked at": {"expression-fails", "no-operator-class", "type-not-castable"},
    "it takes a backup, or another release": {
        "history-unreadable",
        "irreversible",
        "missing-on-disk",
    },
    "the table must be copied": {"too-many-columns"},
    "it takes a package on the server, or a folder": {
        "missing-extension",
        "missing-tablespace",
        "missing-type",
    },
}


def ids_in(table: dict[str, set[str]]) -> set[str]:
    """Return all ids of a table of reasons."""
    return set().union(*table.values())


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

    def preflight(self) -> Answer:
        """Ask."""
        return self.ops("preflight_migrate", "zoo", *self.target, database=self.alias)

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
    return [
        each
        for each in zoo.preflight().report["findings"]
        if each["severity"] != "info" or (about_info and each["id"] != "not-rehearsed")
    ]


def of_id(zoo: Zoo, id: str) -> list[dict[str, Any]]:
    """Return what is found of this id."""
    return [each for each in findings(zoo, id) if each["id"] == id]


@pytest.mark.parametrize(
    "id",
    [pytest.param(id, marks=pytest.mark.major) if id in OF_SERVERS else id for id in RUN],
)
def test_the_bad_example_raises_the_finding_and_the_good_one_does_not(
    id: str, prepare: Prepare
) -> None:
    bad, good = examples(id)
    if is_refused_itself(id, bad, prepare):
        return
    zoo = prepare(bad)
    if not is_of_this_server(id, zoo):
        assert zoo.preflight().ids == []
        return

    found = findings(zoo, id)
    failure = zoo.migrate()

    assert found[0]["id"] == id
    assert NAMES[Severity(found[0]["severity"])] == page(id).severities[0]
    # What is done already exists, and what was renamed is unknown under its new name.
    assert {each["id"] for each in found} - {"column-exists", "drift-column-unknown"} <= {id}
    assert (failure is not None) == (found[0]["severity"] == "error"), failure
    if bad.get("sql", "harm"):
        assert query(zoo.alias, bad.get("sql", "harm")) == [(True,)]

    zoo = prepare(good)
    assert findings(zoo, id) == []
    assert zoo.migrate() is None
    if bad.get("sql", "harm"):
        assert query(zoo.alias, bad.get("sql", "harm")) != [(True,)]


@pytest.mark.parametrize("id", CURED)
def test_the_steps_of_a_finding_cure_its_bad_example(
    id: str, prepare: Prepare, typist: Typist
) -> None:
    bad, _ = examples(id)
    if is_refused_itself(id, bad, prepare):
        return
    zoo = prepare(bad)
    found = of_id(zoo, id)
    if not is_of_this_server(id, zoo):
        assert found == []
        return
    if id in ids_in(WORDS_ONLY):
        assert found[0]["steps"] == []
        assert found[0]["hint"]
        return
    assert found[0]["steps"]
    for alternative in alternatives(found[0]):
        if alternative > 1:
            zoo = prepare(bad)
            found = of_id(zoo, id)
        typist.type_each(zoo.alias, found, alternative=alternative)

        assert bool(of_id(zoo, id)) == (id in {*SHOWN, *ids_in(STAYS)})
        if id in SHOWN:
            return
        if zoo.preflight().code:
            # What was behind it is said now, with its steps.
            assert typist.type_each(zoo.alias, errors(zoo))
        assert zoo.preflight().code == 0
        assert zoo.migrate() is None


def is_refused_itself(id: str, bad: Example, prepare: Prepare) -> bool:
    """Say whether this server is too old for the example, and see that it refuses it."""
    if id not in UNKNOWN_BEFORE or connections["default"].pg_version >= OF_SERVERS[id][0]:
        return False
    with pytest.raises(ProgrammingError, match="syntax error"):
        prepare(bad)
    return True


def is_of_this_server(id: str, zoo: Zoo) -> bool:
    """Say whether a server of this version refuses what the page is about."""
    first, end = OF_SERVERS.get(id, (0, 1_000_000))
    version: int = connections[zoo.alias].pg_version
    return first <= version < end


def errors(zoo: Zoo) -> list[dict[str, Any]]:
    """Return what is found of errors."""
    return [each for each in zoo.preflight().report["findings"] if each["severity"] == "error"]


def test_every_finding_with_steps_has_them_typed_or_says_why_not() -> None:
    assert ids_with_steps(TREES) - set(CURED) == ids_in(TYPED_ELSEWHERE)
    for name in [each for each in TYPED_ELSEWHERE if each.endswith(".py")]:
        text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        assert "typist.type(" in text, name
    assert ids_in(WORDS_ONLY) <= set(CURED)
    assert ids_in(STAYS) <= set(CURED) - ids_in(WORDS_ONLY)


def test_a_page_whose_examples_are_not_run_says_why() -> None:
    said: dict[str, set[str]] = {}
    for id in IDS - set(RUN):
        match = re.search(r"^<!-- not run: (.+) -->$", text_of(id), re.M)
        assert match is not None, id
        said.setdefault(match[1], set()).add(id)

    assert said == NOT_RUN


def test_a_warning_shows_its_harm() -> None:
    assert [
        id for id in RUN if page(id).severities[0] == "warning" and "```sql harm" not in text_of(id)
    ] == ["long-lock"]
