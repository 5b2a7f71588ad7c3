"""What every source file keeps to."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from opsmigrate.backfill.state import State
from opsmigrate.backfill.work import Work
from opsmigrate.conf import Settings
from opsmigrate.manifest import Manifest
from opsmigrate.postgres.catalog import Catalog, Index, Relation
from opsmigrate.preflight.interpret import effects, schema
from opsmigrate.preflight.interpret.commands import column_definition, create_index
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.claims import ClaimedIndex
from opsmigrate.uat.outcome import Outcome

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("opsmigrate", "treasury", "scripts")
MOST_FIELDS = 12
# What has more, each with the reason; what no longer has more is taken out.
MORE_FIELDS = {
    State: "all that is read of the table before a seed, in one look",
    Work: "what every phase of a seed is given",
    Settings: "one field for each setting",
    Manifest: "one field for each key of the file",
    Catalog: "one field for each question to the catalog",
    Index: "one field for each column of its query",
    Relation: "one field for each column of its query",
    Rehearsal: "one field for each key of the child's answer",
    schema.Constraint: "one field for each fact of pg_constraint",
    schema.Function: "one field for each fact of pg_proc",
    schema.Index: "one field for each fact of pg_index",
    schema.Relation: "one field for each kind of thing that a relation has",
    schema.Schema: "one field for each kind of thing that a statement may find",
    create_index.Wanted: "one field for each word of CREATE INDEX and of what makes an index",
    column_definition.Definition: "one field for each word of a column's definition",
    effects.Effects: "one field for each thing that a statement can do",
    SimulatedTable: "what a plan can change about a table",
    ClaimedIndex: "what a model can say of an index",
    Outcome: "one field for each key of the report",
}
NO_NAMES = {"utils.py", "helpers.py", "services.py"}
DRIVERS = {"psycopg", "psycopg2"}
TEXT = {".py", ".md", ".toml", ".yaml", ".txt", ".html", ".sh", ".ps1", ".sql", ".example", ""}
LOCAL = {"backups", "reports", "build", "dist", "__pycache__"}
# Folders of one machine; written apart, so that this file does not name them.
PLACES = re.compile(r"/(?:work|root)" + r"/\w")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    """Return how a test's case is called."""
    return str(path.relative_to(ROOT))


SOURCES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))
OURS = [path for path in SOURCES if path.is_relative_to(ROOT / "opsmigrate")]


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def found_in(files: Iterable[Path], look: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """Return what `look` finds fault with, by file; a file without a fault is left out."""
    looked = {relative(path): look(path) for path in files}
    return {name: faults for name, faults in looked.items() if faults}


def imported(module: ast.Module) -> Iterator[str]:
    """Yield the top-level packages that a module imports, wherever the import stands."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Yield the public functions and classes, and the public methods of those classes."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def is_annotated(function: Function) -> bool:
    """Say whether every argument but self and cls, and what is returned, has a type."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    starred = [each for each in (arguments.vararg, arguments.kwarg) if each]
    typed = all(each.annotation for each in [*named, *starred] if each.arg not in ("self", "cls"))
    return typed and function.returns is not None


def fields(class_: ast.ClassDef) -> set[str]:
    """Return the names of what an object has: declared in its class, or given to `self`."""
    declared = [node.target for node in class_.body if isinstance(node, ast.AnnAssign)]
    methods = [node for node in class_.body if isinstance(node, Function)]
    given = [
        node.attr
        for method in methods
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) == "self"
    ]
    return {ast.unparse(target) for target in declared} | set(given)


def uses_connections(module: ast.Module) -> bool:
    """Say whether the module picks a connection by its alias."""
    return any(
        isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("connections")
        for node in ast.walk(module)
    )


def counts_without_their_noun(module: ast.Module) -> Iterator[str]:
    """Yield what stands behind a count in an f-string, where one of it would read "1 rows"."""
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            for number, words in pairwise(node.values):
                if is_count(number) and isinstance(words, ast.Constant):
                    yield from re.findall(r"^ (?!is |was |ms )[a-z]+s\b", str(words.value))


def is_count(value: ast.expr) -> bool:
    """Say whether a part of an f-string is a whole number of things: len(…), or {…:,}."""
    if not isinstance(value, ast.FormattedValue):
        return False
    spec = ast.unparse(value.format_spec) if value.format_spec else ""
    return ast.unparse(value.value).startswith("len(") or spec == "f','"


def texts() -> Iterator[Path]:
    """Yield the text files of the project, without what git ignores."""
    for entry in ROOT.iterdir():
        if entry.is_dir() and entry.name not in LOCAL and (entry.name[0] != "." or is_ci(entry)):
            yield from (path for path in entry.rglob("*") if is_text(path))
        elif is_text(entry) and entry.name not in (".env", ".git"):  # in a work tree, a file
            yield entry


def is_ci(folder: Path) -> bool:
    """Say whether this is the one hidden folder that belongs to the project."""
    return folder.name == ".ci"


def is_text(path: Path) -> bool:
    """Say whether this is a file that people read."""
    return path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts


def test_a_source_file_says_what_it_is_for() -> None:
    # Django writes no docstring in a migration.
    silent = [
        path
        for path in SOURCES
        if path.parent.name != "migrations" and not ast.get_docstring(tree(path))
    ]

    assert [relative(path) for path in SOURCES if path.name in NO_NAMES] == []
    assert [relative(path) for path in silent] == []


def test_an_object_has_few_fields() -> None:
    more = {
        f"{relative(path.with_suffix('')).replace('/', '.')}.{node.name}"
        for path in OURS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        and len(fields(node)) > MOST_FIELDS
        # The shapes of reports have what the reports have.
        and path.parent.name != "facts"
    }

    assert more == {f"{each.__module__}.{each.__qualname__}" for each in MORE_FIELDS}


def test_an_exception_from_a_limit_says_why() -> None:
    """The limits of complexity and of parameters are ruff's, in pyproject.toml."""
    excepted = re.compile(r"# noqa: (?:C90" + r"1|PLR091" + r"3)(?P<why>.*)")
    found = {
        (path, match["why"])
        for path in SOURCES
        for match in excepted.finditer(path.read_text(encoding="utf-8"))
    }

    assert found
    assert [relative(path) for path, why in found if not re.match(r" - \w.+", why)] == []


def test_the_fields_of_an_object_are_counted() -> None:
    text = "class A:\n  a: int\n  def f(self, b):\n    self.g, self.a = b, b"
    [class_] = ast.parse(text).body
    assert isinstance(class_, ast.ClassDef)

    assert fields(class_) == {"a", "g"}


def undocumented(path: Path) -> list[str]:
    """Return what is public in a module and has no docstring, or not all of its types."""
    # What a class is made of, as __init__, is private to it but typed by mypy's strict mode.
    return [
        node.name
        for node in public(tree(path).body)
        if not ast.get_docstring(node) or (isinstance(node, Function) and not is_annotated(node))
    ]


def test_what_is_public_is_typed_and_documented() -> None:
    assert found_in(OURS, undocumented) == {}


def djangos(path: Path) -> list[str]:
    """Return what a module takes that it must leave to Django: a driver, or the connections."""
    module = tree(path)
    management = path.is_relative_to(ROOT / "opsmigrate" / "management")
    # A process of its own, whose alias is pointed at the scratch database.
    rehearsal = path.parent.name == "rehearsal" and path.name == "child.py"
    # Receivers of connection_created ask for a new session by its alias.
    session = path.parent.name == "postgres" and path.name == "session.py"
    # A process of its own, with the project's own connections.
    migrating = path.parent.name == "playbook" and path.name == "migrate_child.py"
    # A task has the project's connections, of the worker's process.
    task = path.parent.name == "fleet" and path.name == "tasks.py"
    allowed = management or rehearsal or migrating or session or task or path.name == "apps.py"
    taken = [] if allowed or not uses_connections(module) else ["connections"]
    return [*sorted(set(imported(module)) & DRIVERS), *taken]


def test_a_module_leaves_the_driver_and_the_connections_to_django() -> None:
    assert found_in(OURS, djangos) == {}


def test_a_number_stands_with_its_noun_through_one_function() -> None:
    counts = found_in(OURS, lambda path: list(counts_without_their_noun(tree(path))))

    assert counts == {}, "see opsmigrate/counted.py"


def test_a_count_that_would_read_1_rows_is_seen() -> None:
    found = counts_without_their_noun(ast.parse("f'{n:,} rows', f'{len(a)} of it', f'{x} rows'"))

    assert list(found) == [" rows"]


def test_no_file_names_a_folder_of_one_machine() -> None:
    files = list(texts())

    assert {"README.md", "pyproject.toml", ".env.example"} <= {path.name for path in files}
    assert [
        relative(path) for path in files if PLACES.search(path.read_text(encoding="utf-8"))
    ] == []
