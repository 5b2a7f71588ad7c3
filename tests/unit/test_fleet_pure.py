"""Fleets without processes: targets, parts, what is typed, where a run stops, what is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from opsmigrate.errors import OpsmigrateError
from opsmigrate.fleet.about import About
from opsmigrate.fleet.merged import Fleet, merged, without_schema
from opsmigrate.fleet.parts import merged_parts
from opsmigrate.fleet.run import Bounds, MostFailures, play
from opsmigrate.fleet.run_folder import Outcome, RunFolder, file_name
from opsmigrate.fleet.targets import Target, chosen, once_per_database, part_of, targets
from opsmigrate.fleet.unit import Unit, _arguments, _may_go_well, outcome_of
from opsmigrate.management.fleet_arguments import split
from opsmigrate.playbook.command_process import CommandEnd
from opsmigrate.postgres.tenant import in_schema, read_variable, search_path_of, variable_for
from opsmigrate.report import Verdict
from opsmigrate.steps import aimed_text
from tests.conftest import ROOT


def target(label: str, alias: str = "default") -> Target:
    return Target(alias=alias, schema=label, label=label, server="db:5432")


def outcome(label: str, verdict: Verdict = Verdict.PASSED, summary: str = "done") -> Outcome:
    return Outcome(
        label=label,
        verdict=verdict.value,
        exit_code=verdict.exit_code,
        attempts=1,
        seconds=1.0,
        summary=summary,
    )


TARGETS = tuple(map(target, ("a", "b", "c", "d", "e")))


def test_each_target_is_in_exactly_one_part() -> None:
    for parts in (1, 2, 3, 7):
        found = [each for number in range(parts) for each in part_of(TARGETS, number + 1, parts)]
        assert sorted(each.label for each in found) == ["a", "b", "c", "d", "e"]


def test_only_and_exclude_choose_by_name_and_a_pattern_that_matches_nothing_is_refused() -> None:
    labels = [each.label for each in chosen(TARGETS, only=["[a-c]"], exclude=["b"])]
    assert labels == ["a", "c"]
    with pytest.raises(OpsmigrateError, match="--only x matches none of the targets"):
        chosen(TARGETS, only=["a", "x"])


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"alias": ["default"]}, r"the alias \['default'\]: DATABASES has no such alias"),
        (SystemExit("no customers"), "failed: SystemExit: no customers"),
        (RuntimeError("password=hunter2 refused"), r"RuntimeError: password=\*\*\* refused"),
    ],
)
def test_a_function_that_yields_no_target_is_named(
    entry: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def function() -> Iterator[Any]:
        if isinstance(entry, BaseException):
            raise entry
        yield entry

    monkeypatch.setitem(globals(), "function", function)
    with pytest.raises(OpsmigrateError, match=why):
        targets(f"{__name__}.function", [])


def test_a_backup_is_of_a_database_and_not_of_each_schema() -> None:
    mixed = (*TARGETS, target("f", alias="other"))
    assert [(each.alias, each.schema) for each in once_per_database(mixed)] == [
        ("default", None),
        ("other", None),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [("Tenant", "tenant"), ("a/b", "a_2Fb"), ("x" * 300, "x" * 301), ("ü", "_C3_BC"), ("..", ".")],
)
def test_two_targets_never_share_a_file_and_none_leaves_its_folder(one: str, other: str) -> None:
    names = {file_name(each).casefold() for each in (one, other)}
    assert len(names) == 2
    assert all(Path(each).name == each and len(each) < 200 for each in names)


@pytest.mark.parametrize("schema", [None, "plain", "a/b 'c\" %2F", "ü"])
def test_a_process_learns_the_very_target(schema: str | None) -> None:
    assert read_variable(variable_for("a/b %", schema)) == ("a/b %", schema)
    assert read_variable({}) is None


def test_the_schema_comes_first_and_what_the_alias_says_after_it() -> None:
    def path(schema: str, **options: str) -> str | None:
        settings = {"OPSMIGRATE_SCHEMA": schema, "OPTIONS": options}
        return search_path_of(SimpleNamespace(settings_dict=settings))  # type: ignore[arg-type]

    assert path("t1") == '"t1", public'
    assert path('o"d') == '"o""d", public'
    assert path("public") == '"public"'
    assert path("t1", options=r"-c search_path=t1,\ shared -c x=y") == '"t1", shared'


def test_what_is_typed_in_a_schema_names_the_settings_too() -> None:
    typed = in_schema("python manage.py migrate", variable_for("default", "t1"))
    assert typed == "OPSMIGRATE_TARGET='default/t1' python manage.py migrate"
    assert aimed_text(typed, "default", "shop.settings") == (
        "OPSMIGRATE_TARGET='default/t1' python manage.py migrate --settings=shop.settings"
    )


def test_what_is_to_be_typed_goes_into_the_schema() -> None:
    typed = in_schema(
        "python manage.py migrate shop\nSELECT 1;\npython manage.py check",
        variable_for("default", "t 1"),
    )
    assert typed == (
        "OPSMIGRATE_TARGET='default/t 1' python manage.py migrate shop\nSELECT 1;\n"
        "python manage.py check"
    )
    assert in_schema("python manage.py migrate", variable_for("default", None)) == (
        "python manage.py migrate"
    )


@pytest.mark.parametrize(
    ("typed", "ours", "others"),
    [
        ("preflight_migrate shop --rehearse off", "preflight_migrate", "shop --rehearse off"),
        (
            "--canary 2 migrate_safely --attempts=3 --max-failures 5% -v 0",
            "--canary 2 migrate_safely --max-failures 5% -v 0",
            "--attempts=3",
        ),
        ("--merge a b --format json", "--merge a b --format json", ""),
        ("backup_db --only=x --keep 3", "backup_db --only=x", "--keep 3"),
        ("--fail-on warning check_drift", "--fail-on warning check_drift", "--fail-on warning"),
    ],
)
def test_options_of_the_fleet_and_of_the_command_are_told_apart(
    typed: str, ours: str, others: str
) -> None:
    parser = load_command_class("opsmigrate", "fleet").create_parser("manage.py", "fleet")
    found = split(parser, typed.split())
    assert (" ".join(found[0]), " ".join(found[1])) == (ours, others)


def test_each_target_has_files_of_its_own(tmp_path: Path) -> None:
    def typed(command: str, *arguments: str) -> list[str]:
        unit = Unit(command=command, arguments=arguments, target=target("a b"), run_id="r")
        return _arguments(unit, tmp_path)

    name = file_name("a b")
    assert typed("check_drift", "--write-repair={target}.sql") == [f"--write-repair={name}.sql"]
    assert typed("run_uat") == ["--report-dir", str(tmp_path / "uat" / name)]
    assert typed("run_uat", "--report-dir", "x/{target}") == ["--report-dir", f"x/{name}"]


class FakeEngine:
    """Gives the outcomes that a test wants, one after the other."""

    def __init__(self, units: Sequence[Unit], bad: str, begun: list[str]) -> None:
        self.left, self.bad, self.begun = list(units), bad, begun

    def outcomes(self) -> Iterator[Outcome]:
        while self.left:
            label = self.left.pop(0).target.label
            self.begun.append(label)
            yield outcome(label, Verdict.FAILED if label in self.bad else Verdict.PASSED)

    def stop(self) -> None:
        self.left.clear()


@pytest.mark.parametrize(
    ("bad", "bounds", "begun", "why"),
    [
        ("", Bounds(canary=2), "abcde", None),
        ("b", Bounds(canary=2), "ab", "the canary did not pass (b)"),
        ("c", Bounds(canary=2), "abcde", None),
        ("ab", Bounds(most_failures=MostFailures(number=1)), "ab", "more than 1 of the targets"),
        ("a", Bounds(most_failures=MostFailures(number=0)), "a", "more than 0 of the targets"),
        ("ab", Bounds(most_failures=MostFailures(number=40, percent=True)), "abcde", None),
        ("abc", Bounds(most_failures=MostFailures(number=40, percent=True)), "abc", "40%"),
        ("abcde", Bounds(), "abcde", None),
    ],
)
def test_where_a_run_stops(bad: str, bounds: Bounds, begun: str, why: str | None) -> None:
    units = [Unit(command="c", arguments=(), target=each, run_id="r") for each in TARGETS]
    found: list[str] = []
    stopped = play(
        TARGETS,
        units,
        bounds,
        engine=lambda some: FakeEngine(some, bad, found),
        say=lambda line: None,
    )
    assert "".join(found) == begun
    assert (stopped is None) == (why is None)
    assert why is None or why in (stopped or "")


def whole(outcomes: Sequence[Outcome], **changes: Any) -> Fleet:
    return Fleet(
        targets=TARGETS,
        outcomes={each.label: each for each in outcomes},
        report_of=lambda each: {},
        **changes,
    )


FACTS = {"run": "r", "folder": "reports/fleet/r", "command": "c", "release": None}


def test_the_worst_verdict_is_that_of_all_and_stands_first() -> None:
    verdicts = (Verdict.PASSED, Verdict.UNDECIDED, Verdict.FAILED, Verdict.PASSED, Verdict.PARTIAL)
    found = [outcome(each.label, verdict) for each, verdict in zip(TARGETS, verdicts, strict=True)]
    result = merged(whole(found), facts=FACTS, again="again")
    assert result.verdict is Verdict.FAILED
    assert result.summary == "2 of 5 targets passed, 1 failed, 1 undecided, 1 partial"
    rows = [(each["verdict"], each["targets"]) for each in result.facts["rows"]]
    assert rows == [
        ("failed", ["c"]),
        ("undecided", ["b"]),
        ("partial", ["e"]),
        ("passed", ["a", "d"]),
    ]
    assert {each.id for each in result.findings} == {"target-without-report"}


def test_what_passed_in_many_ways_does_not_hide_the_rest() -> None:
    """The JSON report has them all."""
    targets = tuple(map(target, map(str, range(40))))
    found = {each.label: outcome(each.label, summary=f"backup {each.label}") for each in targets}
    fleet = Fleet(targets=targets, outcomes=found, report_of=lambda outcome: {})
    result = merged(fleet, facts={"folder": "f", "command": "backup_db"}, again="")
    assert len(result.facts["rows"]) == 40
    lines = [each for each in result.detail if each.startswith("passed")]
    assert len(lines) == 9
    assert lines[-1].split(maxsplit=2) == ["passed", "32", "each as its own report says"]


def test_what_was_not_done_never_passes() -> None:
    result = merged(whole([outcome("a")], stopped="interrupted"), facts=FACTS, again="again")
    assert result.verdict is Verdict.PARTIAL
    assert result.facts["not_done"] == ["b", "c", "d", "e"]
    assert [each.text for each in result.findings[0].steps] == ["again"]
    assert merged(whole([]), facts=FACTS, again="again").verdict is Verdict.PARTIAL


def test_what_is_said_of_several_tenants_is_said_once() -> None:
    said = [outcome(each.label, summary=f"{each.label}.shop is fine") for each in TARGETS]
    result = merged(whole(said), facts=FACTS, again="again")
    assert [each["what"] for each in result.facts["rows"]] == ["shop is fine"]
    for words in ("x/a.json is no file", "data.a is", "a", "ba.c"):
        assert without_schema(words, TARGETS[0]) == words
    assert without_schema('in "a"."b", a.c', TARGETS[0]) == 'in "b", c'


@pytest.mark.parametrize(
    ("end", "verdict", "code"),
    [
        (CommandEnd(-9, {}, ""), "undecided", 3),
        (CommandEnd(1, {}, "ImportError"), "undecided", 3),
        (CommandEnd(0, {}, ""), "undecided", 3),
        (CommandEnd(4, {"verdict": "refused"}, ""), "refused", 4),
    ],
)
def test_a_process_without_a_report_proves_nothing(
    end: CommandEnd, verdict: str, code: int
) -> None:
    found = outcome_of("a", end)
    assert (found.verdict, found.exit_code) == (verdict, code)


@pytest.mark.parametrize(
    ("report", "again"),
    [
        ({}, True),
        ({"findings": [{"id": "server-unreachable"}]}, True),
        ({"findings": [{"id": "bad-setting"}]}, False),
        ({"findings": [{"id": "no-migration-applied"}]}, False),
        ({"undecided": [{}]}, False),
        # Somebody held the table: perhaps not for long.
        ({"undecided": [{}], "findings": [{"id": "blocking-session"}]}, True),
    ],
)
def test_what_may_go_well_is_tried_again(report: dict[str, Any], again: bool) -> None:
    undecided = {**report, "verdict": "undecided"} if report else {}
    assert _may_go_well(CommandEnd(3, undecided)) is again
    assert not _may_go_well(CommandEnd(1, {**report, "verdict": "failed"}))


def test_parts_are_one_run_and_a_part_that_is_missing_never_passed(tmp_path: Path) -> None:
    folders = []
    for number in (1, 2):
        folder = tmp_path / f"r.part-{number}-of-2"
        mine = part_of(TARGETS, number, 2)
        about = About(
            run_id="r",
            command="check_drift",
            arguments=(),
            release="1",
            targets=mine,
            fleet=tuple(each.label for each in TARGETS),
            part=(number, 2),
            chosen=("--exclude", "x*"),
            options=("--engine", "celery"),
        )
        files = RunFolder(folder)
        files.make()
        files.write_about(about.as_json())
        for each in mine:
            files.write_outcome(outcome(each.label))
        folders.append(folder)
    assert merged_parts(folders, tmp_path).summary == "5 of 5 targets passed"
    assert merged_parts([tmp_path], tmp_path).verdict is Verdict.PASSED
    half = merged_parts(folders[:1], tmp_path)
    assert (half.verdict, half.facts["not_done"]) == (Verdict.PARTIAL, ["b", "d"])
    [left] = half.findings
    assert (left.id, left.message) == ("fleet-part-left", "left of the run r: part 2/2: missing")
    # Each as it is typed; the folder that the part will have is merged too.
    assert [each.text for each in left.steps] == [
        "OPSMIGRATE_RUN_ID='r' python manage.py fleet check_drift --exclude 'x*' --engine celery "
        "--part 2/2"
    ]
    assert (
        half.again == f"python manage.py fleet --merge {folders[0]} {tmp_path}/fleet/r.part-2-of-2"
    )
    # The worse of two is believed, whichever folder comes first.
    RunFolder(folders[1]).write_outcome(outcome("a", Verdict.FAILED))
    assert merged_parts(folders, tmp_path).verdict is Verdict.FAILED
    assert merged_parts(folders[::-1], tmp_path).verdict is Verdict.FAILED
    RunFolder(folders[1]).forget("b")
    [left] = merged_parts(folders, tmp_path).findings[-1:]
    assert left.message == (
        "left of the run r: part 1/2: 1 target that did not pass; part 2/2: 1 target not done"
    )
    assert [each.text for each in left.steps] == [
        f"python manage.py fleet --resume r --part {part}/2 --engine celery" for part in (1, 2)
    ]


def test_the_job_of_kubernetes_names_a_part_for_each_index() -> None:
    """The example of the guide is YAML, and what its pods type is understood."""
    text = (ROOT / "docs" / "many-databases.md").read_text(encoding="utf-8")
    job = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    spec, [container] = job["spec"], job["spec"]["template"]["spec"]["containers"]
    [script] = container["args"]
    typed = script.replace("exec python manage.py fleet ", "").replace('"', "")
    parser = load_command_class("opsmigrate", "fleet").create_parser("manage.py", "fleet")
    parts = {
        parser.parse_args(
            typed.replace("$((JOB_COMPLETION_INDEX + 1))", f"{index + 1}").split()
        ).part
        for index in range(spec["completions"])
    }
    assert parts == {(number, spec["completions"]) for number in range(1, spec["completions"] + 1)}
    assert {each["name"] for each in container["env"]} == {"OPSMIGRATE_RUN_ID"}
    [rule] = spec["podFailurePolicy"]["rules"]
    lasting = (Verdict.FAILED, Verdict.USAGE, Verdict.REFUSED)
    assert rule["onExitCodes"]["values"] == [each.exit_code for each in lasting]
