"""What a reviewer reads of a plan: its migrations, what they lock, and for how long."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.shown import shown

MEASURED = {"rehearsal": "measured", "rate": "estimated"}


@dataclass(frozen=True)
class PlanRow:
    """A migration of the plan, with names as they are shown; `seconds` None where not known."""

    migration: str
    operations: tuple[str, ...]
    backwards: bool
    locks: tuple[str, ...]
    seconds: float | None
    basis: str | None

    @property
    def duration(self) -> str:
        """Return how long it takes, in words."""
        return duration(self.seconds, self.basis)


@dataclass(frozen=True)
class LockRow:
    """A table that others are kept from while the plan applies; `held` says how long, in words."""

    table: str
    mode: str
    blocks: str
    size: str
    held: str


def plan_rows(facts: Mapping[str, Any]) -> tuple[PlanRow, ...]:
    """Return the migrations of the plan, of the facts of preflight_migrate."""
    statements: Sequence[Mapping[str, Any]] = facts.get("statements") or ()
    return tuple(
        _row(each, [item for item in statements if item["migration"] == each["migration"]])
        for each in facts.get("plan") or ()
    )


def lock_rows(facts: Mapping[str, Any]) -> tuple[LockRow, ...]:
    """Return the locks that keep readers or writers out, the longest first."""
    locks = (facts.get("forecast") or {}).get("locks") or ()
    blocking = sorted((each for each in locks if each["blocks"]), key=lambda each: -each["seconds"])
    return tuple(
        LockRow(
            table=shown(each["table"]),
            mode=each["mode"],
            blocks=" and ".join(each["blocks"]),
            size=_size(each),
            held=duration(each["seconds"], each["basis"]),
        )
        for each in blocking
    )


def duration(seconds: float | None, basis: str | None) -> str:
    """Return seconds in words, with what they rest on."""
    if seconds is None:
        return "not known"
    shown = "under 0.01 s" if seconds < 0.01 else f"{seconds:,.2f} s"
    return f"{shown}, {MEASURED[basis]}" if basis in MEASURED else shown


def _row(planned: Mapping[str, Any], statements: Sequence[Mapping[str, Any]]) -> PlanRow:
    known = [each["seconds"] for each in statements if each.get("seconds") is not None]
    bases = {each.get("basis") for each in statements if each.get("seconds") is not None}
    return PlanRow(
        migration=shown(planned["migration"]),
        operations=tuple(map(shown, planned["operations"])),
        backwards=planned["backwards"],
        locks=tuple(dict.fromkeys(_locks(statements))),
        seconds=sum(known) if known else None,
        basis="rehearsal" if bases == {"rehearsal"} else "rate" if bases else None,
    )


def _locks(statements: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for statement in statements:
        for lock in statement.get("locks") or ():
            if lock["blocks"]:
                yield f"{shown(lock['table'])}: {lock['mode']}"


def _size(lock: Mapping[str, Any]) -> str:
    rows, size = lock["rows"], lock["bytes"]
    said = [f"about {counted(rows, 'row')}"] if rows is not None else []
    said += [f"{size / 1e6:,.1f} MB"] if size is not None else []
    return ", ".join(said) or "not known"
