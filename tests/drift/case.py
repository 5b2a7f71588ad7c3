"""A damaged database: what preflight said and what migrate then did, and the count of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opsmigrate.counted import counted

MODES = ("off", "auto")
# Names that a case has by chance, where reasons are grouped.
CHANCE = re.compile(r'"[^"]*"|\b\w+\.\w+(?:\.\w+)?\b|\b[a-z]+_\w+\b|\d+')
LONGEST = 160


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What preflight said in one mode; `open` are the reasons for what it left undecided."""

    verdict: str
    words: str
    open: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """One damaged database; `failure` is None where migrate applied. Its seed and point make it."""

    seed: int
    point: int
    damage: tuple[str, ...]
    answers: Mapping[str, Answer]
    failure: str | None

    @property
    def applied(self) -> bool:
        """Return whether migrate applied."""
        return self.failure is None

    def wrong(self) -> list[str]:
        """Return the modes whose verdict was not what migrate then did."""
        right = "passed" if self.applied else "failed"
        return [mode for mode, answer in self.answers.items() if answer.verdict != right]

    def told(self, mode: str) -> str:
        """Return what was done, said and true, a line each."""
        verdict = self.answers[mode].verdict
        head = "UNDECIDED" if verdict == "undecided" else "WRONG"
        lines = [
            f"{head} {mode}: seed {self.seed}, point {self.point}",
            *(f"  damage: {each}" for each in self.damage),
            *(f"  {name}: {each.verdict}: {each.words}" for name, each in self.answers.items()),
            *(f"  open {mode}: {why}" for why in self.answers[mode].open),
            f"  migrate: {'applied' if self.applied else self.failure}",
        ]
        return "\n".join(lines)


@dataclass
class Tally:
    """Counts the cases as they come, and prints what was wrong."""

    table: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    cases: int = 0

    def add(self, case: Case) -> None:
        """Count a case, and print what was wrong with it, or undecided in its last mode."""
        self.cases += 1
        for mode, answer in case.answers.items():
            self.table[mode, answer.verdict, case.applied] += 1
            self.seconds[mode] += answer.seconds
            if answer.verdict == "undecided":
                self.reasons.update({(mode, kind) for kind in kinds(answer.open)})
        for mode in case.wrong():
            if case.answers[mode].verdict != "undecided" or mode == list(case.answers)[-1]:
                print(case.told(mode), flush=True)

    def report(self, seconds: float) -> int:
        """Print the confusion tables; 1 where a verdict was wrong, or too few migrates failed."""
        modes = [mode for mode in MODES if any(key[0] == mode for key in self.table)]
        first = modes[0] if modes else MODES[0]
        failing = sum(
            count
            for (mode, _, applied), count in self.table.items()
            if mode == first and not applied
        )
        print(f"{counted(self.cases, 'case')} in {seconds:.0f} s, migrate failed in {failing}")
        wrong = 0
        for mode in modes:
            each = self.seconds[mode] / max(1, self.cases)
            print(f"{'rehearse ' + mode:16}{'applied':>9}{'failed':>9}   {each:.1f} s each")
            for verdict in ("passed", "failed", "undecided", "usage", "refused"):
                row = self.table[mode, verdict, True], self.table[mode, verdict, False]
                print(f"{verdict:16}{row[0]:>9}{row[1]:>9}")
            wrong += self.table[mode, "passed", False] + self.table[mode, "failed", True]
        for (mode, kind), count in self.reasons.most_common():
            print(f"undecided {mode} {count:>4}: {kind}")
        if failing * 4 < self.cases:
            print("fewer than a quarter of the migrates failed: this run proves nothing")
            return 1
        return 1 if wrong else 0


def kinds(reasons: Iterable[str]) -> set[str]:
    """Return the reasons without the names in them; where there is none, that."""
    return {CHANCE.sub("…", why)[:LONGEST] for why in reasons} or {"no reason is given"}
