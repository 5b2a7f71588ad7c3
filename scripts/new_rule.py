"""Write the files of a new preflight rule: its code, its page, and what fails until it works."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parent.parent
PREFLIGHT = Path("opsmigrate", "preflight")
PAGES = Path("docs", "findings")
PAIRS = Path("tests", "integration", "pairs.py")
SLUG = re.compile(r"[a-z]+(-[a-z]+)*")
# What the author has to write; a guard test finds what is left of it.
MARK = "TO WRITE"
DRIFT = "drift-"
# Where MARK can stand in the files of a new rule.
MARKED = "opsmigrate docs tests/integration/pairs.py"
# What tests a new rule; to collect all tests takes several times as long.
TESTS = "tests/guards/test_docs.py tests/integration/test_findings_pages.py"
# A finding of each severity, whose page and line have the form that a new one takes.
MODELS = {"error": "missing-column", "warning": "dropped-by-cascade", "info": "drift-null"}


class RuleProblem(Exception):
    """The files cannot be written; one sentence says why."""


@dataclass(frozen=True)
class Kind:
    """A kind of rule: its folder, its code, where it is called and how, its severities.

    The first severity is the usual one. `also` is what else to write, `test` a file of tests
    besides TESTS.
    """

    folder: Path
    code: Template
    caller: str
    call: Template
    severities: tuple[str, ...]
    also: str = ""
    test: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule to be made."""

    id: str
    kind: Kind
    severity: str

    @property
    def name(self) -> str:
        """Its name in Python, without the `find_` of its function."""
        return self.id.replace("-", "_")

    @property
    def module(self) -> Path:
        """Its file."""
        return self.kind.folder / f"{self.name}.py"

    def filled(self, template: Template, **more: str) -> str:
        """Return the template with what is known of the rule."""
        return template.substitute(
            more, mark=MARK, id=self.id, name=self.name, severity=self.severity.upper()
        )


WALK = Template('''"""$mark: what is wrong, in one sentence."""

from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.report import Severity


def find_$name(walk: SchemaWalk, table: SimulatedTable) -> None:
    """Report $id if $mark: the condition."""
    # $mark: ask `table` and `walk.schema`, and go on only where the step would fail.
    # What schema_walk.py calls takes `ledger: Ledger`: it cannot import the walk.
    walk.ledger.find(
        "$id",
        f"$mark: what is wrong with {table.label}",
        hint="$mark: what to decide; and steps=(…) where something can be typed",
        table=table.label,
        severity=Severity.$severity,
    )
''')
FORECAST = Template('''"""$mark: what is expected, in one sentence."""

from collections.abc import Iterator

from opsmigrate.preflight.forecast.forecast import Forecast
from opsmigrate.report import Finding, Severity


def find_$name(forecast: Forecast) -> Iterator[Finding]:
    """Report $id if $mark: the condition."""
    for cost in forecast.costs:
        for table in cost.effects.locks:
            # $mark: ask `cost.effects`, `cost.seconds` and `forecast.size(table)`.
            yield Finding(
                id="$id",
                severity=Severity.$severity,
                message=f"$mark: what is expected of {table}",
                hint="$mark: what to decide",
                migration=cost.migration,
                operation=cost.operation,
                table=table,
            )
''')
LIVE = Template('''"""$mark: what the server or a session does, in one sentence."""

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.report import Finding, Severity

# $mark: reads the catalog or the statistics, and no table of the project. Where the plan
# matters, take the caller's `statements` too: each has its `sql`, `tables` and `migration`.
QUERY = "SELECT current_setting('server_version') WHERE true"


def find_$name(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Report $id if $mark: the condition."""
    with connection.cursor() as cursor:
        cursor.execute(QUERY)
        rows = cursor.fetchall()
    for (value,) in rows:
        yield Finding(
            id="$id",
            severity=Severity.$severity,
            message=f"$mark: what speaks against the plan: {value}",
            hint="$mark: what to decide",
        )
''')
RECOVERY = Template('''"""$mark: what an earlier run left behind, in one sentence."""

from collections.abc import Iterator

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.plan import Plan
from opsmigrate.report import Finding, Severity


def find_$name(catalog: Catalog, plan: Plan) -> Iterator[Finding]:
    """Report $id if $mark: the condition."""
    for step in plan.steps:
        # $mark: ask `step.migration` and `catalog.relations`.
        yield Finding(
            id="$id",
            severity=Severity.$severity,
            message=f"$mark: what is left of {step.label}",
            hint="$mark: what to decide",
            migration=step.label,
        )
''')
OF_DRIFT = Template('''"""$mark: what differs from the applied migrations, in one sentence."""

from collections.abc import Iterator

from opsmigrate.postgres.catalog import Relation
from opsmigrate.schema.claims import ClaimedTable
from opsmigrate.schema.drift_words import Drift


def find_$name(claimed: ClaimedTable, table: Relation) -> Iterator[Drift]:
    """Report $id if $mark: the condition."""
    # $mark: compare `claimed` with `table`; name the `column`, where it is about one.
    # People read: the applied migrations describe {claimed}; the database has {live}.
    yield Drift(
        id="$id",
        table=table.label,
        claimed=f"$mark: what the migrations claim of {claimed.model}",
        live="$mark: what the database has",
    )
''')
KINDS = {
    "walk": Kind(
        PREFLIGHT / "walk",
        WALK,
        "where the walk makes the step, such as _add_index() in "
        "opsmigrate/preflight/walk/index_and_constraint_sql.py",
        Template("find_$name(walk, table)"),
        ("error", "warning"),
        test="tests/integration/test_preflight_pairs.py",
    ),
    "forecast": Kind(
        PREFLIGHT / "forecast",
        FORECAST,
        "in build_forecast() in opsmigrate/preflight/forecast/forecast_report.py",
        Template("ledger.add(*find_$name(forecast))"),
        ("warning",),
    ),
    "live": Kind(
        PREFLIGHT / "live",
        LIVE,
        "among the findings of check_server_settings() in "
        "opsmigrate/preflight/live/server_settings.py",
        Template("*find_$name(connection),"),
        ("error", "warning"),
    ),
    "recovery": Kind(
        PREFLIGHT / "recovery",
        RECOVERY,
        "beside note_half_applied() in opsmigrate/preflight/explain.py",
        Template("ledger.add(*find_$name(catalog, plan))"),
        ("error", "warning"),
    ),
    "drift": Kind(
        Path("opsmigrate", "schema"),
        OF_DRIFT,
        "in _table_drift() in opsmigrate/schema/drift.py",
        Template("yield from find_$name(claimed, table)"),
        ("info",),
        also="Write its steps: a function for the id in REMEDIES of "
        "opsmigrate/schema/remedies/__init__.py",
        test="tests/integration/test_drift_remedies.py",
    ),
}
PAGE = Template("""# $id

$summary.

$reported

## Condition

$mark: what must be true for it.

## Effect

$mark: what PostgreSQL answers to `migrate`, or what it does to those who work.

## Workaround

$mark: what to do.

$no_steps## Bad example

```sql
-- $mark: what makes the database such
SELECT 1;
```
$pending$harm
## Good example

```sql
-- $mark: the same database, put right
SELECT 1;
```
""")
NO_STEPS = f"<!-- no steps: {MARK} why nothing can be typed; or take this line out -->\n\n"
PENDING = f"""
```python
operations = [
    # {MARK}
    migrations.AddField("cage", "age", models.IntegerField(null=True)),
]
```
"""
SUMMARY = f"{MARK}: what is wrong, in one sentence"
HARM = f"""
```sql harm
-- {MARK}: true where migrate has done the harm, and not with the good example
SELECT false;
```
"""
PAIR = Template('''    Pair(
        "$id: $mark what is wrong",
        """
# $mark
migrations.AddField("cage", "age", models.IntegerField(null=True)),
""",
        # $mark: what makes the migration fail, done to a database on which it applies; or ()
        # where it fails on every database. The class Pair has what else can be said.
        ("SELECT 1",),
        "$id",
    ),
''')


def rule_of(id: str, kind: str, *, warning: bool) -> Rule:
    """Return the rule; raise RuleProblem where no rule can have this id or severity."""
    name = id.replace("-", "_")
    if not SLUG.fullmatch(id) or keyword.iskeyword(name):
        raise RuleProblem(f"{id!r} is not an id: write it in small letters, such as missing-column")
    if id.startswith(DRIFT) != (kind == "drift"):
        raise RuleProblem(
            f"{id} cannot be of the kind {kind}: the ids that begin with {DRIFT} are those of "
            "--kind drift, and no others"
        )
    severities = KINDS[kind].severities
    if warning and "warning" not in severities:
        raise RuleProblem(f"a rule of the kind {kind} gives no warning: leave --warning out")
    if (ROOT / PAGES / f"{id}.md").exists():
        raise RuleProblem(f"the id {id} is taken: read {(PAGES / id).as_posix()}.md")
    rule = Rule(id, KINDS[kind], "warning" if warning else severities[0])
    if (ROOT / rule.module).exists():
        raise RuleProblem(f"{rule.module.as_posix()} exists: choose another id than {id}")
    return rule


def page(rule: Rule) -> str:
    """Return the text of the rule's page, whose head is like that of the model."""
    model = _read(PAGES / f"{MODELS[rule.severity]}.md")
    reported = model.split("\n\n")[2]
    harm = HARM if rule.severity == "warning" else ""
    # A drift is there whatever is planned, check_drift reports it too, and it always has steps.
    is_drift = rule.kind is KINDS["drift"]
    if not is_drift:
        reported = reported.partition(". ")[0].rstrip(".\n") + "."
    return rule.filled(
        PAGE,
        summary=SUMMARY,
        reported=reported,
        no_steps="" if is_drift else NO_STEPS,
        pending="" if is_drift else PENDING,
        harm=harm,
    )


def index(rule: Rule) -> str:
    """Return the text of the table of findings with the rule's line, in the order of the ids."""
    lines = _read(PAGES / "README.md").splitlines(keepends=True)
    rows = {
        found[1]: number
        for number, line in enumerate(lines)
        if (found := re.match(r"\| \[([\w-]+)\]\(\1\.md\) \|", line))
    }
    _, *cells, _ = lines[rows[MODELS[rule.severity]]].strip("| \n").split(" | ")
    new = f"| {' | '.join([f'[{rule.id}]({rule.id}.md)', *cells, SUMMARY])} |\n"
    behind = [number for id, number in rows.items() if id > rule.id]
    lines.insert(min(behind, default=max(rows.values()) + 1), new)
    return "".join(lines)


def texts(rule: Rule) -> dict[Path, str]:
    """Return the files that are new or changed, each with its text."""
    found = {
        rule.module: rule.filled(rule.kind.code),
        PAGES / f"{rule.id}.md": page(rule),
        PAGES / "README.md": index(rule),
    }
    if rule.kind is KINDS["walk"] and rule.severity == "error":
        pairs = _read(PAIRS).rstrip()
        found[PAIRS] = f"{pairs.removesuffix(')')}{rule.filled(PAIR)})\n"
    return found


def _read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Write the files of a new preflight rule; CONTRIBUTING.md says which kind is "
        "which. What is left for you to write is marked TO WRITE."
    )
    parser.add_argument("id", metavar="ID", help="the id of its finding, such as missing-column")
    parser.add_argument("--kind", choices=KINDS, default="walk", help="default: walk")
    parser.add_argument(
        "--warning", action="store_true", help="`migrate` would apply, and do some harm"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the files, and say what comes next; end with a sentence where that cannot be."""
    options = parse(argv)
    try:
        rule = rule_of(options.id, options.kind, warning=options.warning)
    except RuleProblem as problem:
        print(f"new_rule.py: {problem}", file=sys.stderr)
        sys.exit(2)
    for path, text in texts(rule).items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path.as_posix())
    test = f"python -m pytest -k {rule.id} {TESTS} {rule.kind.test}".rstrip()
    also = f"\n   {rule.kind.also}." if rule.kind.also else ""
    print(
        f"""
What comes next:
1. See it fail:  {test}
2. Write what these files have marked: git grep --untracked -n "{MARK}" -- {MARKED}
   (The line in docs/findings/README.md is written in step 5.)
3. Call the rule {rule.kind.caller}:
       {rule.filled(rule.kind.call)}{also}
4. See it pass, by the command of step 1; then: ruff check --fix . && ruff format . && mypy
5. Have the tables of the docs written:  UPDATE_GOLDEN=1 python -m pytest tests/guards"""
    )


if __name__ == "__main__":
    main()
