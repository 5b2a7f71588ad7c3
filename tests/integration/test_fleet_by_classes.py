"""fleet preflight_migrate: one process for each class, and the verdicts of single runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opsmigrate.postgres.tenant import variable_for
from tests.conftest import Answer
from tests.fleet_schemas import Fleet


def targets(answer: Answer) -> dict[str, dict[str, Any]]:
    return {each["label"]: each for each in answer.report["facts"]["targets"]}


def single(fleet: Fleet, schema: str) -> Answer:
    return fleet.run("preflight_migrate", "--format", "json", **variable_for("default", schema))


def test_each_target_has_the_verdict_of_a_run_of_its_own_and_few_have_a_process(
    fleet: Callable[[int], Fleet],
) -> None:
    tenants = fleet(6)
    broken, drifted, new = "tenant_0003", "tenant_0004", "tenant_0006"
    tenants.break_rows(broken)
    tenants.drift(drifted)
    added = "ADD CONSTRAINT shop_customer_email_unique UNIQUE (email)"
    tenants.execute(
        new,
        "INSERT INTO django_migrations (app, name, applied)"
        f" VALUES ('shop', '0002_unique_email', now()); ALTER TABLE shop_customer {added}",
    )

    answer = tenants.run("fleet", "preflight_migrate", "--format", "json", FLEET_ALSO="gone")

    assert answer.code == 1, answer.stdout
    found = targets(answer)
    # Of a tenant whose schema is missing that is said, once, and what creates it.
    [missing] = [each for each in answer.report["findings"] if "gone" in each["message"]]
    assert missing["message"] == "gone: the schema gone of this target does not exist"
    assert [each["text"] for each in missing["steps"]] == ['CREATE SCHEMA "gone";']
    assert found.pop("gone")["verdict"] == "refused"
    examined = [label for label, each in found.items() if each["attempts"]]
    assert sorted(examined) == ["tenant_0001", broken, drifted], answer.stderr
    for label in ("tenant_0002", broken):
        own = single(tenants, label)
        assert found[label]["verdict"] == own.report["verdict"], label
        assert found[label]["summary"] == own.report["facts"]["summary"], label
        assert found[label]["exit_code"] == own.code, label
    classes = answer.report["facts"]["classes"]
    assert [len(each["members"]) for each in classes] == [1, 1, 4]
    [told] = [each for each in answer.report["findings"] if each["id"] == "target-unlike-others"]
    assert told["evidence"]["targets"] == [drifted]
    assert "missing here: column shop_customer.note: character varying(100)" in told["message"]
    assert [each["verdict"] for each in found.values()].count("passed") == 5
