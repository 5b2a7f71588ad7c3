"""What was typed of the plan, for the steps of a report to repeat."""

from dataclasses import replace
from typing import Any

from opsmigrate.report import Result
from opsmigrate.steps import of_the_plan


def about_the_plan(result: Result, options: dict[str, Any]) -> Result:
    """Return the result of preflight_migrate, whose steps repeat the arguments of `migrate`."""
    named = (options["app_label"], options["migration_name"])
    flags = ("fake", "fake_initial", "run_syncdb")
    given = [f"--{each.replace('_', '-')}" for each in flags if options[each]]
    on, hours = options["rehearse_on"], options["require_backup"]
    within = options.get("rehearse_in")
    plan = (*(each for each in named if each), *given)
    rehearsal = (
        *(("--rehearse-on", on) if on else ()),
        *(("--rehearse-in", within) if within else ()),
        *(("--trust-code",) if options["trust_code"] else ()),
        *(("--require-backup", f"{hours:g}") if hours else ()),
    )
    findings = tuple(
        replace(
            item,
            steps=tuple(
                replace(step, text=of_the_plan(step.text, plan, rehearsal))
                if step.kind == "command"
                else step
                for step in item.steps
            ),
        )
        for item in result.findings
    )
    again = of_the_plan("python manage.py preflight_migrate", plan, rehearsal)
    return replace(result, findings=findings, again=again)
