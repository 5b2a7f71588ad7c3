"""The documentation says what the code does: findings, commands, options, settings, exit codes."""

from __future__ import annotations

import ast
import os
import re
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from opsmigrate import conf
from opsmigrate.report import Verdict
from scripts.new_rule import MARK
from tests.finding_pages import NOTES, PAGES, notes_of, page_ids, text_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "opsmigrate"
DOCS = ROOT / "docs"
GOLDEN = ROOT / "tests" / "golden" / "help"
SECTIONS = ["Condition", "Effect", "Workaround", "Bad example", "Good example"]
SLUG = re.compile(r"[a-z]+(-[a-z]+)+|[a-z]+")
# Calls with an id that is no finding's: acceptance checks, and Django's own check messages.
OTHER_IDS = {"check", "CheckDefinition", "Outcome", "Error", "Run", "Snapshot"}
COMMANDS = sorted(
    path.stem
    for path in (PACKAGE / "management" / "commands").glob("*.py")
    if path.stem != "__init__"
)


def trees(package: Path) -> list[ast.Module]:
    """Return the syntax trees of every module of the package."""
    return [
        ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(package.rglob("*.py"))
    ]


def takers(nodes: list[ast.AST]) -> dict[str, int]:
    """Return the functions that take an `id`, each with its place among the arguments."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            names = [each.arg for each in node.args.args if each.arg != "self"]
            if "id" in names and node.name not in OTHER_IDS:
                found[node.name] = names.index("id")
    return found


def given_ids(modules: list[ast.Module]) -> Iterator[ast.expr]:
    """Yield every expression that is handed on as the id of a finding.

    By keyword wherever it is; by place to a method `find` of the ledger, and to a function of the
    same module: two modules may have private functions of one name.
    """
    for module in modules:
        nodes = list(ast.walk(module))
        places = takers(nodes)
        for node in nodes:
            if isinstance(node, ast.Assign) and name_of(node.targets[0]) == "FINDING_IDS":
                assert isinstance(node.value, ast.Dict)
                yield from node.value.values
            elif isinstance(node, ast.Call):
                yield from _given_to(node, places)


def name_of(expression: ast.expr) -> str:
    """Return the dotted name of an expression, as far from its end as it consists of names."""
    if isinstance(expression, ast.Attribute):
        return f"{name_of(expression.value)}.{expression.attr}"
    return expression.id if isinstance(expression, ast.Name) else ""


def _given_to(call: ast.Call, places: dict[str, int]) -> Iterator[ast.expr]:
    name = name_of(call.func)
    if name.rpartition(".")[2] in OTHER_IDS:
        return
    yield from (word.value for word in call.keywords if word.arg == "id")
    place = 0 if name.endswith("ledger.find") else places.get(name)
    if place is not None and len(call.args) > place:
        yield call.args[place]


def finding_ids(modules: list[ast.Module]) -> set[str]:
    """Return the ids of findings that stand in the code as literals."""
    return {
        each.value
        for each in given_ids(modules)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def ids_with_steps(modules: list[ast.Module]) -> set[str]:
    """Return those of the ids that stand in a call which gives steps, too."""
    calls = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.Call)]
    giving = [call for call in calls if any(word.arg == "steps" for word in call.keywords)]
    return finding_ids([ast.Module([ast.Expr(call) for call in giving], [])])


def sections(text: str) -> dict[str, str]:
    """Return the second-level sections of a page: heading -> text."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {head.strip(): body.strip() for head, body in zip(parts[1::2], parts[2::2], strict=True)}


def described(name: str) -> str:
    """Return the section of a command; of one with the options of another, that of the other."""
    said = sections((DOCS / "commands.md").read_text(encoding="utf-8"))
    same = re.search(r"^Its options are those of \[`(\w+)`\]", said[name], re.MULTILINE)
    return said[same[1]] if same else said[name]


def parser_of(name: str) -> ArgumentParser:
    """Return the parser of a command."""
    return load_command_class("opsmigrate", name).create_parser("manage.py", name)


def own_actions(name: str) -> list[Action]:
    """Return the arguments of a command that are not Django's, but for former spellings."""
    djangos = {action.dest for action in BaseCommand().create_parser("manage.py", "other")._actions}
    found = [action for action in parser_of(name)._actions if action.dest not in djangos]
    return [action for action in found if action.help != SUPPRESS]


def words_of(action: Action) -> str:
    """Return how an argument is called: its long option, or its name."""
    return action.option_strings[-1] if action.option_strings else action.dest


def documented(section: str) -> set[str]:
    """Return what stands first in the rows of a section's tables."""
    return set(re.findall(r"^\| `([\w-]+)", section, flags=re.MULTILINE))


def test_an_id_is_found_however_it_is_handed_on() -> None:
    source = """
FINDING_IDS = {Status.FAIL: "from-a-table"}
class Ledger:
    def find(self, id, message): ...
def _broken(id, message): ...
def refuse(table, *, id): ...
ledger.find("by-place", "…")
_broken("by-function", "…")
refuse(table, id="by-keyword")
raise UsageError("…", id="by-error")
text.find("no-finding")
@check("no-finding-either")
def look(): ...
"""

    found = finding_ids([ast.parse(source)])

    assert found == {"from-a-table", "by-place", "by-function", "by-keyword", "by-error"}


def test_every_id_of_a_finding_is_a_literal_slug() -> None:
    modules = trees(PACKAGE)

    computed = {
        ast.unparse(each)
        for each in given_ids(modules)
        if not isinstance(each, ast.Constant)
        and ast.unparse(each)
        not in {"id", "self.id", "probe.id", "drift.id", "FINDING_IDS[outcome.status]"}
    }

    assert computed == set(), "write the id as a literal, so that it can be searched for"
    assert [each for each in finding_ids(modules) if not SLUG.fullmatch(each)] == []


def test_every_finding_has_a_page_and_every_page_a_finding() -> None:
    ids = finding_ids(trees(PACKAGE))

    assert len(ids) > 50
    assert sorted(ids - page_ids()) == [], "findings without a page in docs/findings/"
    assert sorted(page_ids() - ids) == [], "pages of findings that the code cannot raise"


@pytest.mark.parametrize("id", sorted(page_ids()))
def test_a_page_has_its_sections(id: str) -> None:
    text = text_of(id)
    found = sections(text)

    assert MARK not in text, "scripts/new_rule.py left this for you to write"
    assert text.startswith(f"# {id}\n")
    assert list(found) == SECTIONS
    assert all(found.values())
    assert all(re.search(r"^```\w+( \w+)?\n.+?\n```$", found[name], re.S) for name in SECTIONS[3:])


@pytest.mark.parametrize("id", sorted(page_ids()))
def test_a_note_on_a_page_is_one_that_the_tests_read(id: str) -> None:
    assert set(notes_of(id)) <= NOTES
    assert text_of(id).count("<!--") == len(notes_of(id)), "write <!-- name: text -->, each once"


def test_the_notes_on_pages_are_documented() -> None:
    index = sections((PAGES / "README.md").read_text(encoding="utf-8"))["The examples are run"]

    assert set(re.findall(r"^\| `([a-z ]+):", index, re.M)) == NOTES


def test_a_new_rule_is_written_to_its_end() -> None:
    """Tell what scripts/new_rule.py left to write; the table of findings follows the pages."""
    files = (ROOT / "tests" / "integration").glob("*pairs.py")

    left = [path for path in [*files, *PACKAGE.rglob("*.py")] if MARK in path.read_text("utf-8")]
    assert [str(path.relative_to(ROOT)) for path in left] == []


def test_the_index_of_findings_names_every_page_once() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| \[([\w-]+)\]\(\1\.md\) \|", index, re.M) == sorted(page_ids())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented_with_all_its_options(name: str) -> None:
    said = sections((DOCS / "commands.md").read_text(encoding="utf-8"))
    of_all = documented(said["Options of every command"])
    arguments = {words_of(action) for action in own_actions(name)}
    own = documented(described(name))
    checks = {each for each in own if not each.startswith("--")} - arguments
    if name == "fleet":
        # Each of its targets has its own.
        of_all -= {"--database"}

    assert arguments == of_all | (own - checks)
    assert not of_all & own
    if name != "run_uat":
        assert checks == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_choices_and_defaults_of_an_option_are_documented(name: str) -> None:
    said = sections((DOCS / "commands.md").read_text(encoding="utf-8"))
    rows = f"{said['Options of every command']}\n{described(name)}".splitlines()

    for action in own_actions(name):
        row = next(line for line in rows if line.startswith(f"| `{words_of(action)}"))
        plain = [] if action.default in (None, False, []) else [str(action.default)]
        for word in [*(action.choices or ()), *plain]:
            assert re.search(rf"\b{re.escape(word)}\b", row), f"{row} does not say {word}"


def test_the_acceptance_checks_of_every_project_are_documented() -> None:
    said = sections((DOCS / "commands.md").read_text(encoding="utf-8"))["run_uat"]
    modules = trees(PACKAGE / "uat" / "builtin")
    ids = {
        node.args[0].value
        for module in modules
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "check"
        and isinstance(node.args[0], ast.Constant)
    }

    assert ids == {each for each in documented(said) if not each.startswith("--")}


def test_the_readme_names_every_command_exit_code_and_setting() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| (\d) \| (\w+) \|", readme, re.M)

    assert [name for name in COMMANDS if f"`{name}" not in readme] == []
    assert codes == [(str(verdict.exit_code), verdict.value) for verdict in Verdict]
    assert [key for key in conf.KEYS if f"`{key}`" not in readme] == []
    assert [key for key in conf.UAT_KEYS if key not in readme] == []
    assert len(readme.splitlines()) < 250


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *DOCS.rglob("*.md")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]

    for target in targets:
        file, _, anchor = target.partition("#")
        page = (path.parent / file).resolve() if file else path
        assert page.exists(), f"{path.name} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_the_golden_one(name: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    text = help_of(name)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")

    assert text == golden.read_text(encoding="utf-8"), "meant? UPDATE_GOLDEN=1, then git diff"


def help_of(name: str) -> str:
    """Return what --help says of our own arguments.

    Laid out here and not by argparse, whose layout differs between versions of Python, and without
    Django's own options, which differ between versions of Django.
    """
    lines = [f"manage.py {name}", "", parser_of(name).description or "", ""]
    for action in own_actions(name):
        choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
        value = "" if action.nargs == 0 else action.metavar or choices or action.dest.upper()
        head = f"{words_of(action)} {value}".rstrip() if action.option_strings else action.dest
        lines += [f"  {head}", *([f"      {action.help}"] if action.help else [])]
    lines += ["", parser_of(name).epilog or ""]
    return "\n".join(lines) + "\n"
