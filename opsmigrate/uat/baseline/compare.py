"""What is not as it was, and which of that was meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from opsmigrate.uat.baseline.expectation import Expectation
from opsmigrate.uat.baseline.record import ModelFigures

GROUP_OF_NOTHING = "0"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure before and after; `state` is same, changed, declared or new."""

    figure: str
    before: str
    after: str
    state: str
    reason: str = ""

    @property
    def words(self) -> str:
        """Return the change in words."""
        delta = difference(self.before, self.after)
        by = f" ({delta:+,f})" if delta else ""
        because = f"; {self.reason}" if self.reason else ""
        return f"{self.figure}: {self.before} → {self.after}{by}{because}"


def live_models(expectations: Sequence[Expectation], labels: Sequence[str]) -> dict[str, str]:
    """Return the models whose tables people go on adding to, with the reason."""
    return {
        label: item.reason
        for item in expectations
        if item.live
        for label in labels
        if matches(item.what, label)
    }


def compare(
    before: Mapping[str, ModelFigures],
    after: Mapping[str, ModelFigures],
    expectations: Sequence[Expectation],
) -> tuple[Row, ...]:
    """Return every figure of the baseline with what it is now, and what is new."""
    rows: list[Row] = []
    for label, was in before.items():
        now = after.get(label)
        if now is None:
            rows.append(judge(label, "there", "gone", expectations))
        else:
            rows += _compare_model(label, was.figures, now.figures, expectations)
    rows += [
        Row(figure=f"{label}.count", before="", after=now.figures.get("count", ""), state="new")
        for label, now in after.items()
        if label not in before
    ]
    return tuple(rows)


def judge(figure: str, before: str, after: str, expectations: Sequence[Expectation]) -> Row:
    """Return whether the figure is the same, or changed as declared, or changed."""
    declared = [item for item in expectations if not item.live and matches(item.what, figure)]
    exact = next((item for item in declared if item.by is not None), None)
    if exact is not None:
        right = difference(before, after) == exact.by
        reason = exact.reason if right else f"declared to change by {exact.by:+,f}"
        state = "declared" if right else "changed"
        return Row(figure=figure, before=before, after=after, state=state, reason=reason)
    if before == after:
        return Row(figure=figure, before=before, after=after, state="same")
    if declared:
        reason = declared[0].reason
        return Row(figure=figure, before=before, after=after, state="declared", reason=reason)
    return Row(figure=figure, before=before, after=after, state="changed")


def difference(before: str, after: str) -> Decimal | None:
    """Return by how much a number changed; None where these are no numbers."""
    try:
        return Decimal(after) - Decimal(before)
    except InvalidOperation:
        return None


def matches(pattern: str, name: str) -> bool:
    """Return whether the name is what an expectation speaks of; `*` stands for anything."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), name) is not None


def _compare_model(
    label: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    expectations: Sequence[Expectation],
) -> Iterator[Row]:
    for name in [*before, *(name for name in after if name not in before)]:
        is_group = "[" in name
        if name not in before and not (is_group and _base(name) in before):
            yield Row(figure=f"{label}.{name}", before="", after=after[name], state="new")
            continue
        nothing = GROUP_OF_NOTHING if is_group else "gone"
        was, now = before.get(name, nothing), after.get(name, nothing)
        if _is_shown_by_its_sum(name, before, after):
            continue
        yield judge(f"{label}.{name}", was, now, expectations)


def _base(name: str) -> str:
    return name.partition("[")[0]


def _is_shown_by_its_sum(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether a fingerprint adds nothing: the sum, or the rows, changed as well."""
    if not name.startswith("fingerprint("):
        return False
    shown_by = (name.replace("fingerprint", "sum", 1), "count")
    return any(before.get(each) != after.get(each) for each in shown_by)
