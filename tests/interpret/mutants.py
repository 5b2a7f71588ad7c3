"""Change one rule of the interpreter at a time, and print which changes nothing noticed.

By hand: `python -m tests.interpret.mutants URL`, or with `--number 300 --seed 1` for some. The
server is asked once, for the lists of statements (listed.py), and then no more. What rules are for
another major is left out, unless `--kept` gives what a server of it did, written by `--record`.

A mutant is noticed where a statement that was right differs, is no longer understood, is no longer
read to its end, what the server raises is no longer foretold, other rights are needed than the
server was seen to ask for, or it ends in an exception.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import opsmigrate.preflight.interpret as package
from opsmigrate.preflight.interpret.effects import Effects
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import Statement
from tests.interpret.bisimulation import judged
from tests.interpret.changed_rules import (
    FOLDER,
    Mutant,
    all_mutants,
    changed,
    forget,
    made_at_import,
)
from tests.interpret.generator import connected
from tests.interpret.listed import lines, recorded
from tests.interpret.recording import Executed, Recording, load, save
from tests.interpret.told import Told, told

# What one statement may take; it takes a few milliseconds.
SECONDS = 5
# What another major does; the lists are for 18.
OTHER_MAJORS = ("version <", "version >=", "catalogued(")
OURS = 180_000
# Lines of a list have no more statements.
SHORT = 6
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.txt"


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
    # What is interpreted first, from `before` on: what a later statement shows of an earlier one.
    earlier: tuple[Statement, ...] = ()
    # The rules that it holds.
    rules: ClassVar[str] = str(FOLDER)

    def interpreted(self, *, anew: bool) -> tuple[Schema, tuple[Schema, Effects]]:
        """Return the schema that the statement finds, and what is said of it then.

        With `anew`, what was found out of the schema before, and kept, is found once more.
        """
        schema = replace(self.before) if anew else self.before
        for each in self.earlier:
            schema = interpret(schema, each)[0]
        return schema, interpret(schema, self.statement)


def cases(recordings: Sequence[Recording]) -> list[Case | Told]:
    """Return the statements that the interpreter has right, or does not claim to know."""
    found: list[Case | Told] = []
    for recording in recordings:
        earlier: tuple[Statement, ...] | None = ()
        for each, (before, comparison) in zip(recording.executed, recording.judged(), strict=True):
            if frozenset(comparison.effects.rights) != each.rights:
                # Kept by another interpreter: the server was not asked for those of this one.
                each = each._replace(rights=None, indispensable=frozenset())
            if not comparison.differences:
                unknown = comparison.unknown is not None
                claimed = interpret(before, comparison.statement)
                case = Case(recording, before, comparison.statement, each, unknown, claimed)
                found.append(case)
                again = replace(case, before=recording.start, earlier=earlier or ())
                # Ours is another where the server refused an earlier one for its rows.
                if earlier and again.interpreted(anew=False)[1] == claimed:
                    found.append(again)
            understood = not comparison.differences and comparison.unknown is None
            if earlier is not None and understood and len(recording.executed) <= SHORT:
                earlier = (*earlier, comparison.statement)
            else:
                earlier = None
        found += _after_unknown(recording)
        if len(recording.executed) <= SHORT:
            found += told(recording)
    return found


def _after_unknown(recording: Recording) -> Iterator[Case]:
    """Yield what follows something unknown, interpreted on what is still known.

    And on the start, which shows what the unknown statement leaves: it may take too much with it.
    """
    schema, known = recording.start, True
    earlier: tuple[Statement, ...] = ()
    for each in recording.executed if len(recording.executed) <= SHORT else ():
        [statement] = parse(each.text)
        each = each._replace(rights=None)
        after = judged(schema, statement, each.happened, each.server, recording.is_same)
        if after.differences:
            return
        claimed = interpret(schema, statement)
        if not known:
            case = Case(recording, schema, statement, each, after.unknown is not None, claimed)
            yield case
            again = replace(case, before=recording.start, earlier=earlier)
            if again.interpreted(anew=False)[1] == claimed:
                yield again
        known = known and after.unknown is None
        schema = after.after if after.unknown is None else claimed[0]
        earlier = (*earlier, statement)


def _too_long(number: int, frame: Any) -> None:
    raise TimeoutError


def noticed(case: Case | Told, *, anew: bool) -> str | None:
    """Return how the case shows that a rule was changed; for `anew` see Case.interpreted()."""
    # A changed rule may go round for ever.
    former = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        if isinstance(case, Told):
            return "rights" if case.is_contradicted() else None
        before, claimed = case.interpreted(anew=anew)
        if claimed == case.claimed:
            return None
        each = case.executed
        found = judged(before, case.statement, each.happened, each.server, case.recording.is_same)
    except Exception as error:
        return type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    if found.differences:
        return found.differences[0].kind
    if found.effects.unread and not case.claimed[1].unread:
        return "unread"
    if _is_foretold(each, case.claimed[1]) and not _is_foretold(each, found.effects):
        return "no longer foretold"
    if _is_refused(each, case.claimed[1]) and not _is_refused(each, found.effects):
        return "no longer certain"
    if found.unknown is not None and not case.unknown:
        return "unknown"
    if each.happened.sqlstate is None and _asked(found.effects) - _asked(case.claimed[1]):
        return "asks more"
    return "rights" if _needs_others(case, found.effects) else None


def _is_foretold(each: Executed, effects: Effects) -> bool:
    """Return whether what the server raised was refused, or asked of the rows, and not only read.

    What is not read may raise nearly anything, which hides that nothing looks for this.
    """
    state = each.happened.sqlstate
    refused = [effects.refusal.sqlstate] if effects.refusal is not None else []
    states = (*refused, *(question.sqlstate for question in effects.questions))
    return state is not None and effects.unknown is None and state.startswith(states)


def _asked(effects: Effects) -> set[tuple[Any, ...]]:
    return {(each.sqlstate, each.kind, each.relation) for each in effects.questions}


def _is_refused(each: Executed, effects: Effects) -> bool:
    """Return whether what the server raised was certain, and no question to the rows."""
    refusal = effects.refusal
    return refusal is not None and refusal.certain and refusal.sqlstate == each.happened.sqlstate


def _needs_others(case: Case, effects: Effects) -> bool:
    """Return whether other rights are told than were seen to suffice, or no longer all of them."""
    if not case.executed.indispensable.issubset(effects.rights):
        return True
    if case.executed.rights is None or not _are_told(case.claimed[1]):
        return False
    return not _are_told(effects) or frozenset(effects.rights) != case.executed.rights


def _are_told(effects: Effects) -> bool:
    return effects.unknown is None or (effects.unknown.rights_told and not effects.runs_code)


def lines_of(every: Sequence[Case | Told]) -> Mapping[tuple[str, int], list[int]]:
    """Return which cases execute which line of which file."""
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    seen: set[tuple[str, int]] = set()

    def within(frame: Any, event: str, argument: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return within

    def trace(frame: Any, event: str, argument: Any) -> Any:
        return within if frame.f_code.co_filename.startswith(case.rules) else None

    for number, case in enumerate(every):
        seen.clear()
        forget()
        sys.settrace(trace)
        case.interpreted(anew=True)
        sys.settrace(None)
        for line in seen:
            found[line].append(number)
    return found


def survivors(
    every: Sequence[Case | Told],
    chosen: Sequence[Mutant],
    *,
    most: int = 400,
    only_reached: bool = False,
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
        # Where rules keep something in the schema.
        anew = "__dict__" in mutant.path.read_text()
        with changed(mutant, made):
            each = (noticed(every[n], anew=anew) for n in reached[:most])
            how = next(filter(None, each), None)
        yield mutant, how


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


def tried_on(every: Sequence[Case | Told], chosen: Sequence[Mutant]) -> tuple[list[Mutant], str]:
    """Return those that nothing noticed, though they are no equivalents, and the figures."""
    known = equivalent()
    others = []
    if all(each.recording.start.version >= OURS for each in every):
        others = [each for each in chosen if any(word in each.what for word in OTHER_MAJORS)]
    ours = [each for each in chosen if each not in others and _key(each) not in known]
    how: Counter[str] = Counter()
    left = []
    for mutant, by in survivors(every, ours, most=len(every)):
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
    parser.add_argument("--record", type=Path, help="write what the server did here, and end")
    parser.add_argument("--kept", type=Path, nargs="*", default=(), help="what others kept, too")
    parser.add_argument("--number", type=int, help="so many, at random; all where it is left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="those whose module has this in its name")
    options = parser.parse_args()
    # What is pickled is read to its end, so the connection is still needed then.
    connection = connected(options.url)
    lists = [each for _, each in recorded(connection, lines())]
    if options.record:
        save(lists, options.record)
        return
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
