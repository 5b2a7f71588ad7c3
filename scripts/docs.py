"""Write docs/reference/public.md from the code: what is public, and stays as it is.

    python scripts/docs.py

A guard test holds that the page is what this writes.
"""

from __future__ import annotations

import ast
import json
import sys
from argparse import SUPPRESS, Action
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PACKAGE = ROOT / "opsmigrate"
PAGE = ROOT / "docs" / "reference" / "public.md"
PROMISE = """# What is public

Written by `python scripts/docs.py` from the code of version {version}; a test holds that it is
current.

What stands on this page stays: within a major version, and before 1.0 within a minor version
(0.2.x), a name here keeps its meaning and is not removed. Names may be added. What was renamed
stands in [the changelog](../../CHANGELOG.md). Everything else (modules, classes, texts for people,
the keys of `evidence`) may change with any version.
"""
# The files whose results have the facts of a command.
FACTS = {
    "backup_db": ("management/commands/backup_db.py",),
    "migrate_safely": ("management/commands/migrate_safely.py", "playbook/migrate.py"),
    "preflight_migrate": (
        "management/commands/preflight_migrate.py",
        "management/examination.py",
        "preflight/examine.py",
        "preflight/old_release/judge.py",
        "preflight/verdict.py",
        "preflight/forecast/forecast.py",
        "preflight/forecast/forecast_report.py",
        "preflight/rehearsal/rehearsed_statement.py",
    ),
    "restore_db": ("management/commands/restore_db.py",),
    "run_playbook": ("management/commands/run_playbook.py", "playbook/run.py"),
    "run_uat": (
        "management/commands/run_uat.py",
        "uat/acceptance.py",
        "uat/environment.py",
        "uat/outcome.py",
        "uat/waivers.py",
        "uat/save_baseline.py",
        "uat/reports/report_digest.py",
    ),
    "seed_payment_id": (
        "management/commands/seed_payment_id.py",
        "backfill/dry_run.py",
        "backfill/verify.py",
        "backfill/work.py",
    ),
    "verify_backup": ("management/commands/verify_backup.py",),
}
# Functions that return facts, by their names.
RETURNS_FACTS = ("as_fact", "as_json", "describe_environment", "_versions", "_backup", "_account")


def page() -> str:
    """Return the page; Django must be set up."""
    import opsmigrate
    from opsmigrate import conf, uat
    from opsmigrate.manifest import Manifest
    from opsmigrate.pages import FORMER_IDS
    from opsmigrate.report import Verdict
    from opsmigrate.uat.baseline.record import Baseline

    codes = [f"| {each.exit_code} | {each.value} |" for each in Verdict]
    report = _sample()
    parts = {
        "database": report["database"],
        "findings[]": report["findings"][0],
        "findings[].steps[]": report["findings"][0]["steps"][0],
        "undecided[]": report["undecided"][0],
    }
    files = {"the manifest of a backup": Manifest, "a baseline of run_uat": Baseline}
    ids = sorted({path.stem for path in (ROOT / "docs" / "findings").glob("*.md")} - {"README"})
    lines = [
        PROMISE.format(version=opsmigrate.__version__),
        "## Commands and options\n",
        *(line for name in FACTS for line in _command(name)),
        "\n## Exit codes\n\n| code | verdict |\n|---|---|",
        *codes,
        "| 130 | interrupted, whatever the verdict in the report |",
        "\n## Settings\n",
        f"`OPSMIGRATE`: {_listed(conf.KEYS)}.\n",
        f'`OPSMIGRATE["PLAYBOOK"]`: {_listed(conf.PLAYBOOK_KEYS)}.\n',
        f'`OPSMIGRATE["UAT"]`: {_listed(conf.UAT_KEYS)}.',
        '\n## JSON reports (`"schema": 2`)\n',
        f"Every report: {_listed(list(report))}.\n",
        f"`facts`, of every command: {_listed(list(report['facts']))}.\n",
        *(f"`{name}`: {_listed(list(part))}.\n" for name, part in parts.items()),
        "The keys of `facts`, at any depth, for each command:\n",
        *(f"- `{name}`: {_listed(sorted(set(_facts(name))))}" for name in FACTS),
        "\n## Files that are read again\n",
        *(
            f"- {name}: {_listed(each.name for each in fields(kind))}"
            for name, kind in files.items()
        ),
        "\n## Python\n",
        f"`opsmigrate.uat`: {_listed(uat.__all__)}.\n",
        f"A `Context` has {_listed(sorted(_members(uat.Context)))}.\n",
        "`opsmigrate.steps`, for the `steps=` of `Failed` and `NotRun`: `command`, `statement`.",
        "\n## Ids of findings\n",
        *(f"- [{id}](../findings/{id}.md)" for id in ids),
        "\nFormer ids, which `--explain` still understands:\n",
        *(f"- `{old}`: now `{new}`" for old, new in sorted(FORMER_IDS.items())),
    ]
    return "\n".join(lines) + "\n"


def _sample() -> dict[str, Any]:
    """Return a report, as JSON, that has one of everything."""
    from opsmigrate.report import Database, Finding, Report, Result, Severity, Undecided, Verdict
    from opsmigrate.steps import command

    when = datetime.fromtimestamp(0, timezone.utc)
    finding = Finding(id="", severity=Severity.ERROR, message="", steps=(command(""),))
    result = Result(
        verdict=Verdict.FAILED, summary="", findings=(finding,), undecided=(Undecided("", ""),)
    )
    report = Report(
        command="",
        run_id="",
        started=when,
        finished=when,
        database=Database(alias="", name="", host=None, port=None),
        result=result,
        exit_code=1,
    )
    found: dict[str, Any] = json.loads(report.as_json())
    return found


def _members(kind: Any) -> Iterator[str]:
    """Yield what a dataclass has, but for what is private and for the former names of methods."""
    yield from (each.name for each in fields(kind))
    for name, member in vars(kind).items():
        own = getattr(member, "fget", member)
        if not name.startswith("_") and getattr(own, "__name__", None) == name:
            yield name


def _listed(names: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _command(name: str) -> list[str]:
    from django.core.management import load_command_class
    from django.core.management.base import BaseCommand

    djangos = {each.dest for each in BaseCommand().create_parser("manage.py", "other")._actions}
    parser = load_command_class("opsmigrate", name).create_parser("manage.py", name)
    own = [each for each in parser._actions if each.dest not in djangos and each.help != SUPPRESS]
    return [f"- `{name}`: {', '.join(map(_argument, own))}"]


def _argument(action: Action) -> str:
    name = action.option_strings[-1] if action.option_strings else action.dest
    choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
    return f"`{name}`{choices}"


def _keys_of(node: ast.AST) -> list[str]:
    """Return the keys of the dicts that are written out below a node, in their order."""
    found = [each for each in ast.walk(node) if isinstance(each, ast.Dict)]
    keys = [key for each in found for key in each.keys]
    return [
        key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]


def _facts(command: str) -> Iterator[str]:
    """Yield the keys of a command's facts, from what its files write out as facts."""
    for name in FACTS[command]:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (
                node.name in RETURNS_FACTS or node.name.strip("_").endswith("facts")
            ):
                yield from _keys_of(node)
            elif isinstance(node, ast.keyword) and node.arg == "facts":
                yield from _keys_of(node.value)
            elif isinstance(node, ast.Assign) and _is_facts(node.targets[0]):
                target = node.targets[0]
                yield from _keys_of(node.value)
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    yield str(target.slice.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".with_facts"):
                yield from (each.arg for each in node.keywords if each.arg)


def _is_facts(target: ast.expr) -> bool:
    named = target.value if isinstance(target, ast.Subscript) else target
    return isinstance(named, ast.Name) and named.id in ("facts", "server")


def main() -> None:
    """Write the page, with settings that no database is needed for."""
    import django
    from django.conf import settings

    settings.configure(INSTALLED_APPS=["opsmigrate"])
    django.setup()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
