"""Acceptance checks: plain functions of any installed app's uat.py, by id."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from opsmigrate.uat.context import Context

SEVERITIES = ("blocker", "major", "minor")
# The live site; a column to seed, URLs to ask for in OPSMIGRATE.
NEEDS = ("site", "seed", "urls")

Function = Callable[[Context], str]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One acceptance check; `timeout` in seconds, `needs` what it is about.

    Without the site it is NOT_RUN; without a column to seed, or URLs, it does not apply.
    """

    id: str
    function: Function
    tags: tuple[str, ...]
    severity: str
    timeout: float
    needs: tuple[str, ...]


class Registry:
    """The checks by id, in the order in which they were registered."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def add(self, check: Check) -> None:
        """Add a check; raise ValueError where another function has its id."""
        before = self._checks.get(check.id)
        if before is not None and _name(before) != _name(check):
            raise ValueError(f"two acceptance checks have the id {check.id!r}")
        self._checks[check.id] = check


def _name(check: Check) -> tuple[str, str]:
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
    if set(needs) - set(NEEDS):
        raise ValueError(f"the check {id!r} needs {needs!r}; known are {NEEDS}")

    def register(function: Function) -> Function:
        registry.add(
            Check(
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


@dataclass(frozen=True)
class BrokenModule:
    """A uat.py that cannot be imported, and its traceback's last line."""

    module: str
    words: str


def discover() -> tuple[BrokenModule, ...]:
    """Import every installed app's uat.py; return those that are there but broken."""
    import_module("opsmigrate.uat.builtin")
    broken = []
    for app in apps.get_app_configs():
        if app.name == "opsmigrate" or not module_has_submodule(app.module, "uat"):
            continue
        try:
            import_module(f"{app.name}.uat")
        except Exception:
            words = traceback.format_exc().strip().splitlines()[-1]
            broken.append(BrokenModule(f"{app.name}.uat", words))
    return tuple(broken)
