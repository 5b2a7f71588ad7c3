"""What a statement does to the live tables: the interpreter's Effects, by their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opsmigrate.postgres.lock_modes import MODES, stronger
from opsmigrate.preflight.interpret.effects import Effects
from opsmigrate.preflight.walk.interpretation import Interpreted
from opsmigrate.sql.names import Name

# pg_class.relkind of what has rows: tables, partitioned ones, materialized views, foreign tables.
WITH_ROWS = frozenset("rpmf")


@dataclass(frozen=True, kw_only=True)
class LiveEffects:
    """Live tables by label: locked in which mode, rewritten, read through, indexed anew.

    What the plan itself makes is left out. `scans` are read and not rewritten; `builds` are how
    many indexes are built on each table.
    `understood` is False where something in the statement is not known.
    """

    understood: bool = True
    locks: Mapping[str, str] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    builds: Mapping[str, int] = field(default_factory=dict)
    concurrently: bool = False

    @property
    def worked(self) -> frozenset[str]:
        """Return the tables of which every row is read or written."""
        return frozenset({*self.rewrites, *self.scans, *self.builds})


NOT_UNDERSTOOD = LiveEffects(understood=False)


def live_effects(steps: Iterable[Interpreted]) -> LiveEffects:
    """Return what the statements of one text do together."""
    steps = tuple(steps)
    locks: dict[str, str] = {}
    rewrites: set[str] = set()
    scans: set[str] = set()
    builds: Counter[str] = Counter()
    for step in steps:
        for name, mode in step.effects.locks.items():
            if label := _label(step, name):
                locks[label] = stronger(locks.get(label), mode)
        rewrites |= _labels(step, step.effects.rewrites)
        scans |= _labels(step, step.effects.scans)
        builds.update(_indexed(step))
    return LiveEffects(
        understood=bool(steps) and all(_is_understood(step) for step in steps),
        locks=locks,
        rewrites=tuple(sorted(rewrites)),
        scans=tuple(sorted(scans - rewrites)),
        builds=dict(builds),
        concurrently=any(step.effects.concurrently for step in steps),
    )


def _is_understood(step: Interpreted) -> bool:
    effects: Effects = step.effects
    calls = step.statement.kind == "select_stmt" and effects.runs_code
    return effects.unknown is None and not calls


def _label(step: Interpreted, name: Name) -> str | None:
    """Return what a table is called in the live database, None for what is no live table.

    What is done to a partition as it is to the whole of its table, counts for that.
    """
    relations, locks = step.before.relations, step.effects.locks
    relation = relations.get(name)
    while relation is not None and relation.bound is not None and relation.parents:
        parent = relation.parents[0]
        if stronger(locks.get(relation.name), locks.get(parent, MODES[0])) != locks.get(parent):
            break
        relation = relations.get(parent)
    if relation is None or relation.live is None or relation.kind not in WITH_ROWS:
        return None
    return str(relation.live)


def _labels(step: Interpreted, names: Iterable[Name]) -> set[str]:
    return {label for name in names if (label := _label(step, name))}


def _indexed(step: Interpreted) -> Iterable[str]:
    """Yield the label of a live table for each index that is built on it."""
    for name in step.effects.builds:
        # One that is built anew may be gone in the end, a new one was not there before.
        table = step.before.table_of_index(name) or step.after.table_of_index(name)
        if table is not None and (label := _label(step, table.name)):
            yield label
