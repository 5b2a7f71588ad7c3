"""Acceptance checks and expected changes: what any installed app's uat.py registers."""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from opsmigrate.uat.baseline.expectation import Expectation
from opsmigrate.uat.context import Context

SEVERITIES = ("blocker", "major", "minor")
# The live site. The rest is what a check is about: in OPSMIGRATE a column to seed, URLs, latency
# budgets, the URL of the site's health; a project that has a site at all, or one over TLS, or one
# that is another process than this; a baseline, or one with pages; the alias that the site's own
# code uses.
NEEDS = (
    "site",
    "seed",
    "urls",
    "budgets",
    "health",
    "served",
    "tls",
    "elsewhere",
    "baseline",
    "baseline-pages",
    "default-alias",
)

Function = Callable[[Context], str]


@dataclass(frozen=True, kw_only=True)
class CheckDefinition:
    """One acceptance check; `timeout` in seconds, `needs` what it is about.

    Without the site it is NOT_RUN; where something else is not there, it does not apply.
    """

    id: str
    function: Function
    tags: tuple[str, ...]
    severity: str
    timeout: float
    needs: tuple[str, ...]


class Registry:
    """The checks by id, in the order in which they were registered, and the expectations."""

    def __init__(self) -> None:
        self._checks: dict[str, CheckDefinition] = {}
        self._expectations: dict[str, Expectation] = {}

    def __iter__(self) -> Iterator[CheckDefinition]:
        return iter(self._checks.values())

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is meant to change."""
        return tuple(self._expectations.values())

    def add(self, check: CheckDefinition) -> None:
        """Add a check; raise ValueError where another function has its id."""
        before = self._checks.get(check.id)
        if before is not None and _name(before) != _name(check):
            raise ValueError(f"two acceptance checks have the id {check.id!r}")
        self._checks[check.id] = check

    def expect(self, expectation: Expectation) -> None:
        """Add an expected change; the last one of the same words counts."""
        self._expectations[expectation.what] = expectation

    def copy(self) -> "Registry":
        """Return a registry of the same content."""
        other = Registry()
        other.restore(self)
        return other

    def restore(self, other: "Registry") -> None:
        """Take on the content of another one."""
        self._checks = dict(other._checks)
        self._expectations = dict(other._expectations)


def _name(check: CheckDefinition) -> tuple[str, str]:
    # By name: a module that failed to import is imported anew, with new functions.
    return check.function.__module__, check.function.__qualname__


registry = Registry()


def check(
    id: str,
    *,
    tags: Sequence[str] = (),
    severity: str = "major",
    timeout: float = 60.0,
    needs: Sequence[str] = (),
) -> Callable[[Function], Function]:
    """Register the function as an acceptance check.

    It takes a Context and returns what it saw, in a sentence. It raises Failed where what it saw
    is wrong, and NotRun where it could not look; any other exception is an ERROR of the check.
    `timeout` is in seconds; `needs` holds what of NEEDS the check is about.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"the severity of {id!r} is {severity!r}, not one of {SEVERITIES}")
    if isinstance(tags, str) or isinstance(needs, str):
        raise ValueError(f"the tags and needs of {id!r} are lists, not texts")
    if set(needs) - set(NEEDS):
        raise ValueError(f"the check {id!r} needs {needs!r}; known are {NEEDS}")
    if timeout <= 0:
        raise ValueError(f"the timeout of {id!r} is {timeout!r}, not a number of seconds above 0")

    def register(function: Function) -> Function:
        registry.add(
            CheckDefinition(
                id=id,
                function=function,
                tags=tuple(tags),
                severity=severity,
                timeout=timeout,
                needs=tuple(needs),
            )
        )
        return function

    return register


def expect(what: str, *, reason: str, by: Decimal | int | None = None, live: bool = False) -> None:
    """Declare a change since the baseline that is meant.

    `what` is a figure as the report names it (`treasury.Payment.count`,
    `treasury.Payment.sum(amount)[status=paid]`), a page (`page /alerts/`), or a model; a `*`
    stands for anything. With `by` the figure must change by exactly that. With `live`, `what` is a
    model whose table people go on adding to: only rows up to the highest key of the baseline are
    compared.
    """
    if live and by is not None:
        raise ValueError(f"the expectation of {what!r} is live or has a `by`, not both")
    if not reason.strip():
        raise ValueError(f"the expectation of {what!r} has no reason")
    number = None if by is None else Decimal(by)
    registry.expect(Expectation(what=what, reason=reason, by=number, live=live))


@dataclass(frozen=True)
class BrokenModule:
    """A uat.py that cannot be imported, and its traceback's last line."""

    module: str
    words: str


def discover() -> tuple[BrokenModule, ...]:
    """Import every installed app's uat.py; return those that are there but broken.

    As django.utils.module_loading.autodiscover_modules("uat") does, but it goes on after one that
    is broken: all of them are to be named.
    """
    import_module("opsmigrate.uat.builtin")
    broken = []
    for app in apps.get_app_configs():
        if app.name == "opsmigrate" or not module_has_submodule(app.module, "uat"):
            continue
        name = f"{app.name}.uat"
        before = registry.copy()
        try:
            import_module(name)
        except (Exception, SystemExit):
            # Half a module is none: what it registered before it broke would look complete.
            registry.restore(before)
            sys.modules.pop(name, None)
            words = traceback.format_exc().strip().splitlines()[-1]
            broken.append(BrokenModule(name, words))
    return tuple(broken)
