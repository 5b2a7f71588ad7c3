"""Write docs/reference/public.md from the code: what is public, and stays as it is.

    python scripts/docs.py

A guard test holds that the page is what this writes.
"""

from __future__ import annotations

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


def page() -> str:
    """Return the page; Django must be set up."""
    import opsmigrate
    from opsmigrate import conf, uat
    from opsmigrate.manifest import Manifest
    from opsmigrate.pages import FORMER_IDS
    from opsmigrate.report import Verdict
    from opsmigrate.uat.baseline.record import Baseline
    from scripts.json_schemas import facts_of_commands, keys_of, schemas

    commands = facts_of_commands()
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
        *(line for name in commands for line in _command(name)),
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
        *(f"- `{name}`: {_listed(sorted(keys_of(facts)))}" for name, facts in commands.items()),
        "\nThe package has a JSON Schema (draft 2020-12) of each report, of the files below, of a "
        "line of `run_playbook`'s journal and of what its webhook is told, in "
        f"`opsmigrate/json_schemas/`: {_listed(sorted(f'{name}.json' for name in schemas()))}.",
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
