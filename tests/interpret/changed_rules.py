"""Change one rule of the interpreter: every change there is, and one of them done for a while."""

from __future__ import annotations

import ast
import copy
import gc
import importlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import opsmigrate.preflight.interpret as package

FOLDER = Path(str(package.__file__)).parent
# What reads the catalog, and what only holds values.
NOT_RULES = {"schema", "effects", "reading", "schema_sql", "system", "dependency_sql", "__init__"}
# What is not to be seen in what the server does: other tests hold it.
UNSEEN = (
    ".scans",
    ".lost",
    ".reads",
    ".outside",
    ".assigned",
    ".runs_code",
    ".writes_rows",
    ".concurrently",
    ".computed",
    "_scan(",
    "_keep(",
)
# What only says what a refusal or a loss is about, which the tests of findings hold.
WORDS = ("_about", "_loss", "_shown")
CACHED = type(lru_cache(str))


class Mutant(NamedTuple):
    """A change of one statement of a function: which of those of its file, and what it does."""

    path: Path
    number: int
    line: int
    what: str

    @property
    def module(self) -> str:
        """Return the name of the module."""
        return ".".join((package.__name__, *self.path.relative_to(FOLDER).with_suffix("").parts))

    def code(self) -> CodeType:
        """Return the function that has the statement, changed."""
        tree = ast.parse(self.path.read_text())
        # The generator stands still where the change is done.
        changes = _done(tree)
        for _ in range(self.number + 1):
            next(changes)
        found = _around(compile(tree, str(self.path), "exec"), self.line)
        assert found is not None, self
        return found


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every change of a file."""
    tree = ast.parse(path.read_text())
    for number, (line, what) in enumerate(_done(tree)):
        if not any(each in what for each in UNSEEN):
            yield Mutant(path, number, line, what)


def _done(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Do every change to the tree, one at a time, and yield the line and the words of each."""
    functions = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef) and each.name not in WORDS
    ]
    for place in dict.fromkeys(within for each in functions for within in ast.walk(each)):
        for _, body in ast.iter_fields(place):
            if not (isinstance(body, list) and body and isinstance(body[0], ast.stmt)):
                continue
            for number, statement in enumerate(body):
                for what, changed in _changes(statement):
                    body[number] = changed
                    yield _first_line(statement), what
                    body[number] = statement


def _first_line(statement: ast.stmt) -> int:
    """Return the first line that is executed: of a condition in brackets, it is not the `if`."""
    if not isinstance(statement, ast.If):
        return statement.lineno
    return min(each.lineno for each in ast.walk(statement.test) if isinstance(each, ast.Name))


def _changes(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    words = ast.unparse(statement).splitlines()[0][:90]
    # What it names is still named: a function within has the same variables of the one around it.
    nothing = ast.If(test=ast.Constant(False), body=[statement], orelse=[])
    ast.fix_missing_locations(ast.copy_location(nothing, statement))
    match statement:
        case ast.Expr(value=ast.Call()):
            yield f"without {words}", nothing
            weaker = copy.deepcopy(statement)
            mode = weaker.value.args[-1] if weaker.value.args else None  # type: ignore[attr-defined]
            if isinstance(mode, ast.Name) and mode.id.isupper() and mode.id != "ROW_SHARE":
                mode_ = ast.copy_location(ast.Constant("ROW SHARE"), mode)
                weaker.value.args[-1] = mode_  # type: ignore[attr-defined]
                yield f"weaker {words}", weaker
        case ast.If():
            for value in (True, False):
                forced = copy.copy(statement)
                either = ast.Or() if value else ast.And()
                test = ast.BoolOp(op=either, values=[ast.Constant(value), statement.test])
                forced.test = ast.fix_missing_locations(ast.copy_location(test, statement.test))
                yield f"{'always' if value else 'never'} {words}", forced
        case ast.Assign(targets=[ast.Attribute()]) | ast.AugAssign():
            yield f"without {words}", nothing


def _around(module: CodeType, line: int) -> CodeType | None:
    """Return the code of the function or method, not of one within, that has the line."""
    found = None
    for each in _functions(module):
        if each.co_firstlineno <= line:
            found = each
    return found


def _functions(code: CodeType) -> list[CodeType]:
    """Return the functions of a module and the methods of its classes, in order."""
    every = [each for each in code.co_consts if isinstance(each, CodeType)]
    found = []
    for each in every:
        is_class = "__qualname__" in each.co_names and "__module__" in each.co_names
        found += _functions(each) if is_class else [each]
    return sorted(found, key=lambda each: each.co_firstlineno)


def functions_of(module: ModuleType) -> dict[tuple[str, int], FunctionType]:
    """Return the functions and methods that a module has, by name and first line."""
    found: dict[tuple[str, int], FunctionType] = {}
    waiting: list[Any] = list(vars(module).values())
    while waiting:
        each = waiting.pop()
        each = getattr(each, "__wrapped__", getattr(each, "fget", each))
        if isinstance(each, type) and each.__module__ == module.__name__:
            waiting += vars(each).values()
        elif isinstance(each, FunctionType) and each.__module__ == module.__name__:
            found[each.__code__.co_name, each.__code__.co_firstlineno] = each
    return found


def made_at_import() -> dict[tuple[str, str, int], list[FunctionType]]:
    """Return the functions that other functions have returned, by file, name and first line."""
    found: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        # Not isinstance(), which wakes what Django has put off.
        if type(each) is FunctionType and each.__code__.co_filename.startswith(str(FOLDER)):
            code = each.__code__
            found[code.co_filename, code.co_name, code.co_firstlineno].append(each)
    return found


def _within(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _within(each)


@contextmanager
def changed(
    mutant: Mutant, made: Mapping[tuple[str, str, int], list[FunctionType]]
) -> Iterator[None]:
    """Have the function of a mutant, and those that it has returned, changed for a while."""
    code = mutant.code()
    module = importlib.import_module(mutant.module)
    function = functions_of(module).get((code.co_name, code.co_firstlineno))
    if function is None:
        raise AssertionError(f"{mutant.module}:{mutant.line} is in no function that is found")
    pairs = [(function, code)] + [
        (each, inner)
        for inner in _within(code)
        for each in made.get((inner.co_filename, inner.co_name, inner.co_firstlineno), ())
    ]
    former = [each.__code__ for each, _ in pairs]
    try:
        for each, new in pairs:
            each.__code__ = new
        forget()
        yield
    finally:
        for (each, _), old in zip(pairs, former, strict=True):
            each.__code__ = old
        forget()


def forget() -> None:
    """Empty the caches of the rules: what is kept there was found by others."""
    for each in _caches(len(sys.modules)):
        each.cache_clear()


@lru_cache(maxsize=1)
def _caches(modules: int) -> tuple[Any, ...]:
    """Return the caches of as many modules as there are."""
    return tuple(
        each
        for name, module in list(sys.modules.items())
        if name.startswith(f"{package.__name__}.")
        for each in vars(module).values()
        if type(each) is CACHED
    )


def all_mutants() -> list[Mutant]:
    """Return every change of every file with rules."""
    paths = [each for each in sorted(FOLDER.rglob("*.py")) if each.stem not in NOT_RULES]
    return [each for path in paths for each in mutants(path)]
