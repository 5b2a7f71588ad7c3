"""The figures of a load test: what locust counted, and whether that will do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.uat.outcome import Status

# Judged without a baseline, too: no error at all, and no answer slower than this.
SLOWER_TIMES = 1.5
SLOWER_MS = 50.0
KINDS_SAID, PAGES_SAID = 3, 3
# How locust shows what the locustfile said of an answer.
CATCH = re.compile(r"""^CatchResponseError\((['"])(.*)\1\)$""", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of error, and how often each page had it."""

    said: str
    pages: dict[str, int]

    @property
    def times(self) -> int:
        """Return how often it happened."""
        return sum(self.pages.values())

    def __str__(self) -> str:
        some = list(self.pages.items())[:PAGES_SAID]
        pages = ", ".join(f"{page} {counted(times, 'time')}" for page, times in some)
        more = f", and {len(self.pages) - len(some)} more" if len(self.pages) > len(some) else ""
        return f"{self.said} {counted(self.times, 'time')} ({pages}{more})"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What locust counted; times in milliseconds."""

    requests: int
    failures: int
    p50: float
    p95: float
    per_second: float


def kinds_of(errors: Sequence[dict[str, Any]]) -> tuple[Kind, ...]:
    """Return the errors by what they were, the most frequent first."""
    pages: dict[str, Counter[str]] = {}
    for each in errors:
        said = CATCH.sub(r"\2", each["error"])
        pages.setdefault(said, Counter())[each["name"]] += int(each["times"])
    kinds = (Kind(said=said, pages=dict(found.most_common())) for said, found in pages.items())
    return tuple(sorted(kinds, key=lambda kind: -kind.times))


def figures_of(entries: Sequence[dict[str, Any]]) -> Figures:
    """Return the figures over all entries."""
    times: dict[float, int] = {}
    for entry in entries:
        for milliseconds, number in entry["response_times"].items():
            key = float(milliseconds)
            times[key] = times.get(key, 0) + int(number)
    requests = sum(int(entry["num_requests"]) for entry in entries)
    begin = min((entry["start_time"] for entry in entries), default=0)
    end = max((entry["last_request_timestamp"] or 0 for entry in entries), default=0)
    return Figures(
        requests=requests,
        failures=sum(int(entry["num_failures"]) for entry in entries),
        p50=percentile(times, 0.50),
        p95=percentile(times, 0.95),
        per_second=round(requests / max(end - begin, 0.001), 1),
    )


def percentile(times: dict[float, int], share: float) -> float:
    """Return the time within which that share of the requests was answered."""
    wanted, seen = share * sum(times.values()), 0
    for milliseconds in sorted(times):
        seen += times[milliseconds]
        if seen >= wanted:
            return milliseconds
    return 0.0


def judge(
    found: Figures,
    before: Figures | None,
    max_p95_ms: float | None,
    kinds: Sequence[Kind] = (),
) -> tuple[Status, str]:
    """Return the status and what to say; nothing asked is a failure, not a success."""
    said = (
        f"{counted(found.requests, 'request')}, {counted(found.failures, 'error')}, "
        f"p95 {found.p95:.0f} ms, {found.per_second:g} a second"
    )
    if not found.requests:
        return Status.FAIL, "not one request was answered"
    faults = []
    allowed = before.failures / before.requests if before and before.requests else 0.0
    if found.failures / found.requests > allowed:
        what = "".join(f"; {kind}" for kind in kinds[:KINDS_SAID])
        some = counted(found.failures, "error")
        share = f", where {allowed:.1%} was the share before" if before else ""
        faults.append(f"{some}{share}{what}")
    limits = [] if max_p95_ms is None else [(max_p95_ms, "--max-p95-ms")]
    if before:
        limit = max(before.p95 * SLOWER_TIMES, before.p95 + SLOWER_MS)
        limits.append((limit, f"{before.p95:.0f} ms before"))
    faults += [
        f"p95 is {found.p95:.0f} ms, over {limit:.0f} ms ({why})"
        for limit, why in limits
        if found.p95 > limit
    ]
    if not limits:
        said += "; the times were not judged: give --baseline or --max-p95-ms"
    return (Status.FAIL, f"{'; '.join(faults)} ({said})") if faults else (Status.PASS, said)
