"""Change one rule of the interpreter at a time, and print which changes nothing noticed.

By hand: `python -m tests.interpret.mutants URL`, or with `--number 300 --seed 1` for some. The
server is asked once, for the lists of statements (listed.py), and then no more.

A mutant is noticed where a statement that was right differs, is no longer understood, needs other
rights than the server was seen to ask for, or ends in an exception.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import opsmigrate.preflight.interpret as package
from opsmigrate.preflight.interpret.effects import Effects
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import Statement
from tests.interpret.bisimulation import judged
from tests.interpret.generator import connected
from tests.interpret.listed import lines, recorded
from tests.interpret.recording import Executed, Recording, load

# What one statement may take; it takes a few milliseconds.
SECONDS = 5
ASKS = (".questions", "ask_", "_ask(", ".scans")
# What another major does; the lists are for 18.
OTHER_MAJORS = ("version <", "version >=", "catalogued(")
# Lines of a list have no more statements.
SHORT = 6
FOLDER = Path(str(package.__file__)).parent
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.txt"
# What reads the catalog, and what only holds values.
NOT_RULES = {"schema", "effects", "reading", "schema_sql", "system", "dependency_sql", "__init__"}
# What is not to be seen in what the server does: other tests hold it.
UNSEEN = (".scans", ".lost", ".reads", ".outside", ".assigned", ".writes_rows")


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


@dataclass(frozen=True)
class Case:
    """A statement that the interpreter had right, or of which it said that it is unknown."""

    recording: Recording
    before: Schema
    statement: Statement
    executed: Executed
    unknown: bool
    # What the interpreter says of it as it is.
    claimed: tuple[Schema, Effects]


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every change of a file."""
    tree = ast.parse(path.read_text())
    for number, (line, what) in enumerate(_done(tree)):
        if not any(each in what for each in UNSEEN):
            yield Mutant(path, number, line, what)


def _done(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Do every change to the tree, one at a time, and yield the line and the words of each."""
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    for place in dict.fromkeys(within for each in functions for within in ast.walk(each)):
        for _, body in ast.iter_fields(place):
            if not (isinstance(body, list) and body and isinstance(body[0], ast.stmt)):
                continue
            for number, statement in enumerate(body):
                for what, changed in _changes(statement):
                    body[number] = changed
                    yield statement.lineno, what
                    body[number] = statement


def _only_asks(statement: ast.If) -> bool:
    words = [ast.unparse(each) for each in statement.body]
    return not statement.orelse and all(any(ask in each for ask in ASKS) for each in words)


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
            if isinstance(mode, ast.Name) and mode.id.isupper():
                mode_ = ast.copy_location(ast.Constant("ROW SHARE"), mode)
                weaker.value.args[-1] = mode_  # type: ignore[attr-defined]
                yield f"weaker {words}", weaker
        case ast.If():
            # To ask the rows more than is needed is nothing that a server contradicts.
            for value in (False,) if _only_asks(statement) else (True, False):
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
        yield
    finally:
        for (each, _), old in zip(pairs, former, strict=True):
            each.__code__ = old


def cases(recordings: Sequence[Recording]) -> list[Case]:
    """Return the statements that the interpreter has right, or does not claim to know."""
    found = []
    for recording in recordings:
        for each, (before, comparison) in zip(recording.executed, recording.judged(), strict=True):
            if frozenset(comparison.effects.rights) != each.rights:
                # Kept by another interpreter: the server was not asked for those of this one.
                each = each._replace(rights=None)
            if not comparison.differences:
                unknown = comparison.unknown is not None
                claimed = interpret(before, comparison.statement)
                case = Case(recording, before, comparison.statement, each, unknown, claimed)
                found.append(case)
        found += _after_unknown(recording)
    return found


def _after_unknown(recording: Recording) -> Iterator[Case]:
    """Yield what follows something unknown, interpreted on what is still known."""
    schema = recording.start
    for each in recording.executed if len(recording.executed) <= SHORT else ():
        [statement] = parse(each.text)
        each = each._replace(rights=None)
        after = judged(schema, statement, each.happened, each.server, recording.is_same)
        if after.differences:
            return
        claimed = interpret(schema, statement)
        if schema.tainted or schema.all_tainted:
            yield Case(recording, schema, statement, each, after.unknown is not None, claimed)
        schema = after.after if after.unknown is None else claimed[0]


def _too_long(number: int, frame: Any) -> None:
    raise TimeoutError


def noticed(case: Case) -> str | None:
    """Return how the case shows that a rule was changed."""
    each = case.executed
    # A changed rule may go round for ever.
    former = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        if interpret(case.before, case.statement) == case.claimed:
            return None
        found = judged(
            case.before, case.statement, each.happened, each.server, case.recording.is_same
        )
    except Exception as error:
        return type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    if found.differences:
        return found.differences[0].kind
    if case.unknown or found.unknown is not None:
        return None if case.unknown else "unknown"
    if each.rights is not None and frozenset(found.effects.rights) != each.rights:
        return "rights"
    return None


def lines_of(every: Sequence[Case]) -> Mapping[tuple[str, int], list[int]]:
    """Return which cases execute which line of which file."""
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    seen: set[tuple[str, int]] = set()

    def within(frame: Any, event: str, argument: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return within

    def trace(frame: Any, event: str, argument: Any) -> Any:
        return within if frame.f_code.co_filename.startswith(str(FOLDER)) else None

    for number, case in enumerate(every):
        seen.clear()
        sys.settrace(trace)
        interpret(case.before, case.statement)
        sys.settrace(None)
        for line in seen:
            found[line].append(number)
    return found


def survivors(
    every: Sequence[Case], chosen: Sequence[Mutant], *, most: int = 400, only_reached: bool = False
) -> Iterator[tuple[Mutant, str | None]]:
    """Yield each mutant, and how it was noticed; of the cases that reach it, the first `most`.

    With `only_reached`, those that no case comes to are left out.
    """
    where, made = lines_of(every), made_at_import()
    for mutant in chosen:
        reached = where.get((str(mutant.path), mutant.line), [])
        if not reached:
            if not only_reached:
                yield mutant, None
            continue
        with changed(mutant, made):
            how = next(filter(None, (noticed(every[n]) for n in reached[:most])), None)
        yield mutant, how


def all_mutants() -> list[Mutant]:
    """Return every change of every file with rules."""
    paths = [each for each in sorted(FOLDER.rglob("*.py")) if each.stem not in NOT_RULES]
    return [each for path in paths for each in mutants(path)]


def equivalent() -> dict[tuple[str, str], str]:
    """Return the mutants that nothing can notice, by module and words, and why."""
    found: dict[tuple[str, str], str] = {}
    reason = ""
    for line in EQUIVALENT.read_text().splitlines():
        if line.startswith("#"):
            reason = line.removeprefix("#").strip()
        elif line:
            module, _, what = line.partition(": ")
            found[f"{package.__name__}.{module}", what] = reason
    return found


def tried_on(every: Sequence[Case], chosen: Sequence[Mutant]) -> tuple[list[Mutant], str]:
    """Return those that nothing noticed, though they are no equivalents, and the figures."""
    known = equivalent()
    others = [each for each in chosen if any(word in each.what for word in OTHER_MAJORS)]
    ours = [each for each in chosen if each not in others and _key(each) not in known]
    how: Counter[str] = Counter()
    left = []
    for mutant, by in survivors(every, ours):
        how[by if by is not None else "not noticed"] += 1
        if by is None:
            left.append(mutant)
    share = 1 - len(left) / max(len(ours), 1)
    same = len(chosen) - len(others) - len(ours)
    words = f"{share:.1%} of {len(ours)} mutants are noticed, on {len(every)} statements"
    return (
        left,
        f"{words} ({same} equivalents and {len(others)} of other majors aside): {dict(how)}",
    )


def _key(mutant: Mutant) -> tuple[str, str]:
    return mutant.module, mutant.what


def main() -> None:
    """Try mutants and print those that nothing noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of a superuser of a server")
    parser.add_argument("--kept", type=Path, nargs="*", default=(), help="what others kept, too")
    parser.add_argument("--number", type=int, help="so many, at random; all where it is left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="those whose module has this in its name")
    options = parser.parse_args()
    lists = [each for _, each in recorded(connected(options.url), lines())]
    every = cases([*lists, *(each for path in options.kept for each in load(path))])
    chosen = [each for each in all_mutants() if options.only in each.module]
    if options.number and options.number < len(chosen):
        chosen = Random(options.seed).sample(chosen, options.number)  # noqa: S311
    left, words = tried_on(every, chosen)
    for each in left:
        print(f"{each.module.removeprefix(package.__name__ + '.')}: {each.what} (line {each.line})")
    print(words)


if __name__ == "__main__":
    main()
