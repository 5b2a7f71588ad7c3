"""What was typed, for the steps of a report to repeat."""

from dataclasses import replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from opsmigrate.report import Result
from opsmigrate.steps import Typed, retyped, retyped_text


def typed_anywhere(options: dict[str, Any]) -> Typed:
    """Return what every command takes: the alias, where it is not the default one, and settings."""
    alias = options["database"]
    return Typed(
        alias=None if alias == DEFAULT_DB_ALIAS else alias, settings=options.get("settings")
    )


def typed_of_plan(options: dict[str, Any]) -> Typed:
    """Return besides that what preflight_migrate was asked about: the arguments of `migrate`."""
    named = (options["app_label"], options["migration_name"])
    flags = ("fake", "fake_initial", "run_syncdb")
    given = [f"--{each.replace('_', '-')}" for each in flags if options[each]]
    on, hours = options["rehearse_on"], options["require_backup"]
    return replace(
        typed_anywhere(options),
        plan=(*(each for each in named if each), *given),
        rehearsal=(
            *(("--rehearse-on", on) if on else ()),
            *(("--trust-code",) if options["trust_code"] else ()),
            *(("--require-backup", f"{hours:g}") if hours else ()),
        ),
    )


def retyped_result(result: Result, typed: Typed) -> Result:
    """Return the result, whose steps, and commands in its hints, repeat what was typed."""
    findings = tuple(
        replace(
            item,
            hint=retyped_text(item.hint, typed) if item.hint else None,
            steps=retyped(item.steps, typed),
        )
        for item in result.findings
    )
    return replace(result, findings=findings)
