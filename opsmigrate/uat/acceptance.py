"""The acceptance run: which checks, what they saw, and whether that is a yes."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings
from opsmigrate.errors import UndecidedError, UsageError
from opsmigrate.progress import Progress
from opsmigrate.report import WIDTH, Finding, Result, Severity, Verdict
from opsmigrate.uat.registry import Check, discover, registry
from opsmigrate.uat.runner import Adopted, Outcome, Status, outcome_of, run_checks
from opsmigrate.uat.site import Site

FINDING_IDS = {
    Status.FAIL: "check-failed",
    Status.ERROR: "check-error",
    Status.NOT_RUN: "check-not-run",
}


def select(
    *, tags: Sequence[str] = (), exclude: Sequence[str] = (), ids: Sequence[str] = ()
) -> tuple[Check, ...]:
    """Return the registered checks that are asked for; raise UsageError for an unknown name."""
    known = {check.id for check in registry}
    words = known | {tag for check in registry for tag in check.tags}
    unknown = [id for id in ids if id not in known]
    unknown += [word for word in (*tags, *exclude) if word not in words]
    if unknown:
        raise UsageError(
            f"there is no check or tag {unknown[0]!r}",
            id="unknown-check",
            hint="python manage.py run_uat --list",
        )
    return tuple(
        check
        for check in registry
        if (not ids or check.id in ids)
        and (not tags or set(tags) & set(check.tags))
        and not set(exclude) & {check.id, *check.tags}
    )


def accept(
    connection: BaseDatabaseWrapper,
    settings: Settings,
    *,
    base_url: str | None,
    tags: Sequence[str],
    exclude: Sequence[str],
    ids: Sequence[str],
    progress: Progress,
    adopted: Adopted,
) -> Result:
    """Run the checks and return whether the migrated system is accepted.

    Zero checks are no answer (UndecidedError); nor is a check of severity blocker or major that
    could not run.
    """
    broken = discover()
    selected = select(tags=tags, exclude=exclude, ids=ids)
    checks = tuple(check for check in selected if _applies(check, settings))
    left_out = tuple(check.id for check in selected if check not in checks)
    site = Site(base_url) if base_url else None
    outcomes = tuple(map(outcome_of, broken)) + run_checks(
        connection,
        checks,
        settings=settings,
        site=site,
        adopted=adopted,
        tell=lambda id: progress.phase(f"check {id} …"),
    )
    if not outcomes:
        raise UndecidedError(
            "no check was selected, so nothing is known",
            id="no-checks",
            hint="python manage.py run_uat --list",
        )
    findings = tuple(_finding(item) for item in outcomes if item.status is not Status.PASS)
    return Result(
        verdict=_verdict(outcomes),
        summary=_summary(outcomes),
        findings=findings,
        facts={
            "base_url": base_url,
            "tls_relaxed": bool(site and site.is_plain_loopback),
            "release": settings.release,
            "environment": settings.environment,
            "checks": [asdict(item) for item in outcomes],
            "left_out": list(left_out),
        },
        detail=(
            *_table(outcomes, settings, base_url, site),
            *(f"{id}: does not apply, nothing in OPSMIGRATE asks for it" for id in left_out),
        ),
    )


def _applies(check: Check, settings: Settings) -> bool:
    """Say whether the settings name what the check is about."""
    there = {"seed": settings.seed is not None, "urls": bool(settings.uat.urls)}
    return all(there.get(need, True) for need in check.needs)


def _weighs(outcome: Outcome) -> bool:
    return outcome.severity in ("blocker", "major")


def _verdict(outcomes: Sequence[Outcome]) -> Verdict:
    bad = {item.status for item in outcomes if _weighs(item)}
    if bad & {Status.FAIL, Status.ERROR}:
        return Verdict.FAILED
    return Verdict.UNDECIDED if Status.NOT_RUN in bad else Verdict.PASSED


def _summary(outcomes: Sequence[Outcome]) -> str:
    counts = {status: sum(item.status is status for item in outcomes) for status in Status}
    said = ", ".join(f"{number} {status.value}" for status, number in counts.items() if number)
    return f"{len(outcomes)} checks: {said}"


def _finding(outcome: Outcome) -> Finding:
    return Finding(
        id=FINDING_IDS[outcome.status],
        severity=Severity.ERROR if _weighs(outcome) else Severity.WARNING,
        message=f"{outcome.id}: {outcome.saw}",
        hint=outcome.hint or f"python manage.py run_uat --check {outcome.id}",
        evidence={"check": outcome.id, "status": outcome.status.value, "saw": outcome.evidence},
    )


def _table(
    outcomes: Sequence[Outcome], settings: Settings, base_url: str | None, site: Site | None
) -> list[str]:
    lines = [
        f"Environment: {settings.environment}, release {settings.release or 'unknown'}",
        f"Site:        {base_url or 'none given'}",
    ]
    if site and site.is_plain_loopback:
        lines.append("             plain HTTP on loopback: TLS settings are relaxed here")
    lines.append("")
    for item in outcomes:
        lines.append(f"{item.status.value:8} {item.id} ({item.severity}, {item.seconds:.2f} s)")
        lines += textwrap.wrap(item.saw, WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9)
        if item.evidence:
            lines += textwrap.wrap(
                f"saw: {item.evidence}", WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9
            )
    return lines
