"""preflight_migrate of a fleet, class by class: one member is examined, the others asked for rows.

A target with nothing pending needs no process at all. Of each class, the first member is examined
by a process; what it was asked of its rows is asked of the others, from here. Those that answer
otherwise are examined too, one for all that give the same other answers, until nobody is left.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.counted import counted
from opsmigrate.fleet.catalogs import CatalogDigest, catalog_digests
from opsmigrate.fleet.citus import on_citus
from opsmigrate.fleet.classes import Difference, TargetClass, classes, difference
from opsmigrate.fleet.members import told_by
from opsmigrate.fleet.pending import Pending, pending
from opsmigrate.fleet.reports import renamed_text, said_of
from opsmigrate.fleet.run import Engine
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.opening import owned
from opsmigrate.postgres.session import read_session
from opsmigrate.preflight.plan import MigrateArguments
from opsmigrate.report import Verdict

COMMAND = "preflight_migrate"
WITH_QUESTIONS = "--with-questions"
NOTHING = "nothing to migrate; the target is applied"
# What asks for something else than a verdict on each, or is written to.
ALONE = ("rehearse_in", "explain", "keep_copy", "run_syncdb", "fake", "fake_initial")


@dataclass(frozen=True, kw_only=True)
class ClassFound:
    """A class of the fleet as the report shows it; `alone` of one is what makes it different."""

    members: tuple[str, ...]
    migrations: tuple[str, ...]
    different: Difference | None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        body = asdict(self)
        return {**body, "members": list(self.members), "migrations": list(self.migrations)}


class ClassEngine:
    """Runs units of preflight_migrate on another engine: of each class as few as need be."""

    def __init__(
        self,
        units: Sequence[Unit],
        folder: Path,
        *,
        engine: Callable[[Sequence[Unit]], Engine],
        connection_of: Callable[[str], BaseDatabaseWrapper],
        options: Mapping[str, Any],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Take what `engine` would run; `options` are those of the command, as it parsed them.

        `connection_of` returns a connection of an alias that is this engine's own.
        """
        self._units = {each.target.label: each for each in units}
        self._files, self._engine, self._say = RunFolder(folder), engine, say
        self._connection_of, self._options = connection_of, options
        self._by_alias: dict[str, BaseDatabaseWrapper] = {}
        self._running: Engine | None = None
        self._stopped = False
        self.classes: tuple[ClassFound, ...] = ()

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each unit, in the order in which they come."""
        targets = [each.target for each in self._units.values()]
        if any(self._options.get(name) for name in ALONE):
            yield from self._run(targets, self._engine)
            return
        self._files.make()
        with ExitStack() as stack:
            for alias in dict.fromkeys(each.alias for each in targets):
                connection = stack.enter_context(owned(self._connection_of(alias)))
                stack.callback(connection.close)
                self._by_alias[alias] = connection
            yield from self._by_classes(targets)

    def stop(self) -> None:
        """Begin no more units; outcomes() goes on until those that run have come to their end."""
        self._stopped = True
        if self._running is not None:
            self._running.stop()

    def _by_classes(self, targets: Sequence[Target]) -> Iterator[Outcome]:
        found: list[Pending] = []
        digests: dict[str, CatalogDigest] = {}
        for alias, connection in self._by_alias.items():
            here = [each for each in targets if each.alias == alias]
            try:
                connection.ensure_connection()
                some = pending(connection, here, self._arguments)
                left = [each.target for each in some if not each.nothing]
                server = str(read_session(connection).system_identifier)
                digests |= catalog_digests(connection, left, server)
            except Error as error:
                # A command of its own says of each what is wrong.
                self._say(f"The targets of {alias} are examined one by one: {first_line(error)}")
                some = tuple(
                    Pending(target=each, migrations=None, why=first_line(error)) for each in here
                )
            found += some
        for each in found:
            if each.nothing:
                yield self._nothing(each.target)
        waiting = classes([each for each in found if not each.nothing], digests)
        self._tell(waiting, len(targets))
        # The first of each class; then, of those that answer otherwise, the first of each answer.
        groups: list[Sequence[Target]] = [each.members for each in waiting]
        while groups and not self._stopped:
            groups = yield from self._round(groups)

    def _round(
        self, groups: Sequence[Sequence[Target]]
    ) -> Generator[Outcome, None, list[Sequence[Target]]]:
        """Yield the outcomes of a round; return the groups that are left for the next."""
        of_first = {each[0].label: each for each in groups}
        alone = [each[0] for each in groups if len(each) == 1]
        some = [each[0] for each in groups if len(each) > 1]
        left: list[Sequence[Target]] = []
        for outcome in self._run(some + alone, self._engine, asked={each.label for each in some}):
            yield outcome
            first, *others = of_first[outcome.label]
            if others and not self._stopped:
                equal, groups_left = self._others(outcome, first, others)
                yield from equal
                left += groups_left
        return left

    def _run(
        self,
        targets: Sequence[Target],
        engine: Callable[[Sequence[Unit]], Engine],
        asked: frozenset[str] | set[str] = frozenset(),
    ) -> Iterator[Outcome]:
        units = [self._units[each.label] for each in targets]
        self._running = engine(
            [
                replace(each, arguments=(*each.arguments, WITH_QUESTIONS))
                if each.target.label in asked
                else each
                for each in units
            ]
        )
        yield from self._running.outcomes()

    def _others(
        self, outcome: Outcome, first: Target, others: Sequence[Target]
    ) -> tuple[list[Outcome], tuple[tuple[Target, ...], ...]]:
        """Return the outcomes of the others that answer as the first did, and who is left."""
        report = self._files.read_report(outcome)
        if not report:
            return [], tuple((each,) for each in others)
        strict = self._options.get("fail_on") == "warning"
        self._say(f"Asking {counted(len(others), 'target')} like {first.label} about their rows")
        try:
            told = told_by(report, first, others, self._by_alias, sizes_count=strict)
        except Error as error:
            # The server is away, or has ended the session: each target's own process sees to it.
            self._say(f"They are examined one by one: {first_line(error)}")
            for connection in self._by_alias.values():
                connection.close()
            return [], tuple((each,) for each in others)
        equal = [self._equal(outcome, report, first, each) for each in told.equal[1:]]
        if told.groups:
            number = sum(map(len, told.groups))
            self._say(
                f"{counted(number, 'target')} like {first.label} to be examined too: "
                f"{'; '.join(sorted(set(told.why.values())))}"
            )
        return equal, told.groups

    def _equal(
        self, outcome: Outcome, report: Mapping[str, Any], first: Target, member: Target
    ) -> Outcome:
        summary = renamed_text(outcome.summary, first, member)
        made = replace(outcome, label=member.label, attempts=0, seconds=0.0, summary=summary)
        return self._kept(made, said_of(report, first, member))

    def _nothing(self, target: Target) -> Outcome:
        passed = Verdict.PASSED
        made = Outcome(
            label=target.label,
            verdict=passed.value,
            exit_code=passed.exit_code,
            attempts=0,
            seconds=0.0,
            summary=NOTHING,
        )
        body: dict[str, Any] = {
            "command": COMMAND,
            "verdict": passed.value,
            "exit_code": passed.exit_code,
            "findings": [],
            "undecided": [],
            "facts": {"summary": NOTHING, "plan": []},
        }
        return self._kept(made, body)

    def _kept(self, outcome: Outcome, report: Mapping[str, Any]) -> Outcome:
        kept = replace(outcome, report=self._files.write_report(outcome.label, report))
        self._files.write_outcome(kept)
        return kept

    @property
    def _arguments(self) -> MigrateArguments:
        return MigrateArguments(
            app_label=self._options.get("app_label"),
            migration_name=self._options.get("migration_name"),
        )

    def _tell(self, waiting: Sequence[TargetClass], every: int) -> None:
        """Say which classes there are, and keep what makes the small ones different."""
        number = sum(len(each.members) for each in waiting)
        self._say(
            f"{counted(number, 'target')} of {every:,} with something pending, in "
            f"{counted(len(waiting), 'class', 'classes')}"
        )
        for connection in self._by_alias.values():
            if words := on_citus(connection):
                self._say(words)
        if waiting:
            self.classes = tuple(self._found(each, waiting[-1]) for each in waiting)

    def _found(self, one: TargetClass, largest: TargetClass) -> ClassFound:
        # Where nothing can be read of a target, its own process says what is in the way.
        odd = one.known and len(one.members) == 1 and len(largest.members) > 1
        return ClassFound(
            members=tuple(each.label for each in one.members),
            migrations=one.migrations or (),
            different=difference(one, largest, self._by_alias) if odd else None,
        )
