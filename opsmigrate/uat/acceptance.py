"""The acceptance run: which checks, what they saw, and whether that is a yes."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.counted import counted
from opsmigrate.errors import UndecidedError, UsageError
from opsmigrate.progress import Progress
from opsmigrate.redaction import Redactor, secrets_of_settings
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.steps import aimed, command
from opsmigrate.uat.environment import describe_environment
from opsmigrate.uat.outcome import Outcome, Status
from opsmigrate.uat.registry import CheckDefinition, discover, registry
from opsmigrate.uat.runner import JOBS, Adopted, RunResources, outcome_of, run_checks
from opsmigrate.uat.site import Login
from opsmigrate.uat.site_server import site_of_run
from opsmigrate.uat.system import System
from opsmigrate.uat.text_report import report_lines
from opsmigrate.uat.waivers import apply_waivers
from opsmigrate.waivers import utc_today

WAIVERS = 'OPSMIGRATE["UAT"]["WAIVERS"]'
FINDING_IDS = {
    Status.FAIL: "check-failed",
    Status.ERROR: "check-error",
    Status.NOT_RUN: "check-not-run",
}


@dataclass(frozen=True, kw_only=True)
class CheckSelection:
    """Which checks are asked for, how many run at a time, and what else is taken in.

    `serve` says that this run is to serve the site where none was given. What further commands
    need too are `settings_module`, the settings that were typed, and the options `repeated`.
    """

    tags: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ids: Sequence[str] = ()
    jobs: int = JOBS
    serve: bool = True
    settings_module: str | None = None
    repeated: tuple[str, ...] = ()
    included: tuple[Outcome, ...] = ()

    @property
    def is_explicit(self) -> bool:
        """Return whether checks were asked for by name, so that what they need is no extra."""
        return bool(self.tags or self.ids)


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The result, and the pictures of its evidence by their SHA-256."""

    result: Result
    images: dict[str, bytes] = field(default_factory=dict)


def select(selection: CheckSelection) -> tuple[CheckDefinition, ...]:
    """Return the registered checks that are asked for; raise UsageError for an unknown name."""
    known = {check.id for check in registry}
    words = known | {tag for check in registry for tag in check.tags}
    unknown = [id for id in selection.ids if id not in known]
    unknown += [word for word in (*selection.tags, *selection.exclude) if word not in words]
    if unknown:
        raise UsageError(
            f"there is no check or tag {unknown[0]!r}",
            id="unknown-check",
            steps=(command("python manage.py run_uat --list"),),
        )
    return tuple(
        check
        for check in registry
        if (not selection.ids or check.id in selection.ids)
        and (not selection.tags or set(selection.tags) & set(check.tags))
        and not set(selection.exclude) & {check.id, *check.tags}
    )


def accept(
    system: System, *, selection: CheckSelection, progress: Progress, adopted: Adopted
) -> Acceptance:
    """Run the checks and return whether the migrated system is accepted.

    Zero checks are no answer (UndecidedError); nor is a check of severity blocker or major that
    could not run, or a run in which no check looked at anything.
    """
    aim = system.connection.alias, selection.settings_module
    ran = _run(system, selection, progress, adopted)
    if not ran.outcomes:
        raise UndecidedError(
            "no check was selected, so nothing was verified",
            id="no-checks",
            steps=(command("python manage.py run_uat --list"),),
        )
    outcomes = tuple(replace(item, steps=aimed(item.steps, *aim)) for item in ran.outcomes)
    if selection.is_explicit:
        outcomes = tuple(replace(item, required=True) for item in outcomes)
    known = {check.id for check in registry} | {item.id for item in outcomes}
    outcomes, waivers = apply_waivers(
        outcomes, system.settings.uat.waivers, known=known, today=utc_today()
    )
    redactor = _redactor(system.connection, ran.resources.login)
    outcomes = tuple(outcome.masked(redactor.text) for outcome in outcomes)
    facts = {
        **_facts(system, ran.resources, aim),
        "checks": [item.as_fact() for item in outcomes],
        "deselected": list(ran.left_out),
        "waivers": [item.as_fact() for item in waivers],
    }
    result = Result(
        verdict=_verdict(outcomes),
        summary=_summary(outcomes),
        findings=(
            *_concerns(outcomes, selection.repeated),
            *(item.as_finding(WAIVERS) for item in waivers if item.is_void),
        ),
        facts=facts,
        detail=report_lines(outcomes, facts),
    )
    return Acceptance(result=result, images=_images(outcomes))


@dataclass(frozen=True, kw_only=True)
class _Ran:
    """What the checks said, where they ran, and which have nothing to look at here."""

    outcomes: tuple[Outcome, ...]
    resources: RunResources
    left_out: tuple[str, ...]


def _run(system: System, selection: CheckSelection, progress: Progress, adopted: Adopted) -> _Ran:
    """Run the selected checks, on a site that is served for it where none was given."""
    broken = discover()
    selected = select(selection)
    login = system.settings.uat.login
    serve = selection.serve and any("site" in check.needs for check in selected)
    with site_of_run(system.site, system.connection, login, serve=serve) as (site, no_site):
        resources = RunResources(
            connection=system.connection,
            settings=system.settings,
            site=site,
            no_site=no_site,
            login=Login(site, login) if site else None,
            baseline=system.baseline,
            adopted=adopted,
        )
        there = _what_is_there(resources)
        checks = tuple(check for check in selected if set(check.needs) <= there | {"site"})
        outcomes = run_checks(
            checks,
            resources,
            jobs=selection.jobs,
            tell=lambda id: progress.phase(f"check {id} …"),
        )
    return _Ran(
        outcomes=(*map(outcome_of, broken), *outcomes, *selection.included),
        resources=resources,
        left_out=tuple(check.id for check in selected if check not in checks),
    )


def _facts(system: System, resources: RunResources, aim: tuple[str, str | None]) -> dict[str, Any]:
    site = resources.site
    return {
        "base_url": site.base_url if site else None,
        "served": bool(site and site.served),
        "tls_relaxed": bool(site and site.is_plain_loopback and not site.is_secure),
        "release": system.settings.release,
        "environment": system.settings.environment,
        **describe_environment(system, login=resources.login, aim=aim),
    }


def _what_is_there(resources: RunResources) -> set[str]:
    site, baseline = resources.site, resources.baseline
    uat = resources.settings.uat
    there = {
        "seed": resources.settings.seed is not None,
        "urls": bool(uat.urls),
        "budgets": any(url.budget_ms is not None for url in uat.urls),
        "health": uat.health_url is not None,
        "served": site is not None or bool(uat.urls) or uat.login is not None,
        "tls": site is None or not site.is_plain_loopback,
        "elsewhere": site is None or site.served is None,
        "baseline": baseline is not None,
        "baseline-pages": baseline is not None and bool(baseline.pages),
        "default-alias": resources.connection.alias == DEFAULT_DB_ALIAS,
    }
    return {need for need, given in there.items() if given}


def _redactor(connection: BaseDatabaseWrapper, login: Login | None) -> Redactor:
    database = connection.settings_dict
    shown = [str(database.get(key) or "") for key in ("USER", "NAME", "HOST")]
    secrets = chain(secrets_of_settings(), login.secrets if login else ())
    return Redactor(secrets, shown=[*shown, login.username if login else ""])


def _verdict(outcomes: Sequence[Outcome]) -> Verdict:
    bad = {item.status for item in outcomes if item.weighs}
    if bad & {Status.FAIL, Status.ERROR}:
        return Verdict.FAILED
    nothing_seen = all(item.status is Status.NOT_RUN for item in outcomes)
    return Verdict.UNDECIDED if Status.NOT_RUN in bad or nothing_seen else Verdict.PASSED


def _summary(outcomes: Sequence[Outcome]) -> str:
    counts = {status: sum(item.status is status for item in outcomes) for status in Status}
    said = ", ".join(f"{number} {status.value}" for status, number in counts.items() if number)
    waived = sum(item.waived is not None for item in outcomes)
    return f"{counted(len(outcomes), 'check')}: {said}" + (f" ({waived} waived)" if waived else "")


def _concerns(outcomes: Sequence[Outcome], repeated: Sequence[str]) -> list[Finding]:
    """Return a finding for each that did not pass, the worst first."""
    concerns = (item for item in outcomes if item.status is not Status.PASS)
    return [_finding(item, repeated) for item in sorted(concerns, key=lambda item: item.rank)]


def _finding(outcome: Outcome, repeated: Sequence[str]) -> Finding:
    severity = Severity.ERROR if outcome.weighs else Severity.WARNING
    alone = shlex.join(["python", "manage.py", "run_uat", "--check", outcome.id, *repeated])
    # Whether a change was intended is seen by comparing again.
    has_enough = outcome.hint is not None and "baseline" not in outcome.tags
    return Finding(
        id=FINDING_IDS[outcome.status],
        severity=Severity.INFO if outcome.waived else severity,
        message=f"{outcome.id}: {outcome.message}"
        + (f" (waived: {outcome.waived})" if outcome.waived else ""),
        hint=outcome.hint,
        steps=outcome.steps or (() if has_enough else (command(alone),)),
        evidence={"check": outcome.id, "status": outcome.status.value, "detail": outcome.detail},
    )


def _images(outcomes: Sequence[Outcome]) -> dict[str, bytes]:
    kept = (each.image for item in outcomes for each in item.evidence if each.image)
    return {sha256(image).hexdigest(): image for image in kept}
