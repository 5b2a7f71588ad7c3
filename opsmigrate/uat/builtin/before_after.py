"""What the baseline holds is as it was, but for the changes that are declared."""

from collections.abc import Sequence

from django.conf import settings as django_settings

from opsmigrate.counted import counted
from opsmigrate.uat.baseline.compare import Row, compare, judge, live_models, matches
from opsmigrate.uat.baseline.figures import measure, measured_models
from opsmigrate.uat.baseline.pages import DIFFERENCES_NAMED, differences, fetch
from opsmigrate.uat.baseline.record import Page
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check, expect, registry

ROWS_NAMED = 8
# An answer is slow where it takes more than both: times as long, and seconds longer.
SLOWER_TIMES = 2.0
SLOWER_SECONDS = 0.25

# What Django and a login change by themselves.
for _what in ("contenttypes.ContentType", "auth.Permission", "admin.LogEntry"):
    expect(_what, live=True, reason="Django adds rows automatically")
expect("sessions.Session.*", reason="users log in and out")
expect(f"{django_settings.AUTH_USER_MODEL}.nulls(last_login)", reason="users log in")


@check(
    "baseline-figures",
    tags=("database", "baseline"),
    severity="blocker",
    timeout=1800,
    needs=("baseline",),
)
def baseline_figures(context: Context) -> str:
    """Every count, sum and number of NULLs of the baseline is what it was, or was declared."""
    baseline = context.require_baseline()
    models = measured_models(context.connection)
    with_key = [model.label for model in models if model.key and model.label in baseline.models]
    live = live_models(registry.expectations, with_key)
    marks = {label: baseline.models[label].mark or 0 for label in live}
    after = measure(context.connection, models, marks)
    rows = compare(baseline.models, after, registry.expectations)
    context.add_table("Before and after", _table(rows, live))
    _require_unchanged(rows)
    declared = sum(row.state == "declared" for row in rows)
    same = sum(row.state == "same" for row in rows)
    said = f"{counted(same, 'figure')} of {counted(len(baseline.models), 'model')} "
    said += "is as it was" if same == 1 else "are unchanged"
    until = f"; {counted(len(live), 'model')} up to the highest key of that time" if live else ""
    return f"{said}, {declared} changed as declared{until} (baseline of {baseline.id})"


@check(
    "baseline-pages",
    tags=("site", "baseline"),
    severity="major",
    timeout=120,
    needs=("site", "baseline-pages"),
)
def baseline_pages(context: Context) -> str:
    """Every page of the baseline says what it said, but for its noise."""
    rows, pages = [], _pages_after(context)
    for path, (before, after) in pages.items():
        found = differences(before.words, after.words)
        if before.status != after.status:
            found.insert(0, f"status {before.status} → {after.status}")
        said = "; ".join(found[:DIFFERENCES_NAMED])
        more = f"; {len(found) - DIFFERENCES_NAMED} more" if len(found) > DIFFERENCES_NAMED else ""
        name = f"page {path}"
        if not found:
            rows.append(Row(figure=name, before="", after="", state="same"))
        else:
            rows.append(judge(name, "as it was", f"{said}{more}", registry.expectations))
    context.add_table("Pages before and after", _table(rows, {}))
    _require_unchanged(rows)
    declared = sum(row.state == "declared" for row in rows)
    same = counted(len(rows) - declared, "page is unchanged", "pages are unchanged")
    return f"{same}, {declared} changed as declared"


@check(
    "baseline-latency",
    tags=("site", "baseline", "performance"),
    severity="minor",
    timeout=120,
    needs=("site", "baseline-pages"),
)
def baseline_latency(context: Context) -> str:
    """No page of the baseline answers much more slowly than it did."""
    slow, told = [], []
    for path, (before, after) in _pages_after(context).items():
        words = f"{path} {before.seconds * 1000:.0f} ms → {after.seconds * 1000:.0f} ms"
        told.append(words)
        limit = max(before.seconds * SLOWER_TIMES, before.seconds + SLOWER_SECONDS)
        declared = any(matches(item.what, f"latency {path}") for item in registry.expectations)
        if after.seconds > limit and not declared:
            slow.append(words)
    if slow:
        raise Failed(f"slower than before: {'; '.join(slow)}")
    return "; ".join(told)


def _pages_after(context: Context) -> dict[str, tuple[Page, Page]]:
    baseline = context.require_baseline()
    context.http.log_in()
    return {
        path: (page, fetch(context.http, path, expected=page.status)[1])
        for path, page in baseline.pages.items()
    }


def _require_unchanged(rows: Sequence[Row]) -> None:
    changed = [row.words for row in rows if row.state == "changed"]
    if changed:
        more = f"; {len(changed) - ROWS_NAMED} more" if len(changed) > ROWS_NAMED else ""
        raise Failed(
            f"{len(changed)} changed without being declared: {'; '.join(changed[:ROWS_NAMED])}"
            f"{more}",
            hint="if it is intended, declare it with uat.expect(...) in an app's uat.py",
        )


def _table(rows: Sequence[Row], live: dict[str, str]) -> list[tuple[str, ...]]:
    head = ("what", "before", "after", "state", "why")
    up_to = [
        (label, "", "", "live", f"rows up to the highest key of that time: {reason}")
        for label, reason in live.items()
    ]
    return [head, *((r.figure, r.before, r.after, r.state, r.reason) for r in rows), *up_to]
