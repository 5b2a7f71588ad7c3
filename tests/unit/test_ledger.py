"""What the ledger notes is of the place that was passed to it, and of no other."""

from contextlib import suppress

import pytest

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.report import Finding, Severity

INFO = Finding(id="drift-type", severity=Severity.INFO, message="another type")


def test_a_place_holds_inside_of_its_context_and_is_set_by_nothing_else() -> None:
    ledger = Ledger()

    with ledger.at("app.0001", "0: AddField"):
        ledger.find("missing-table", "no table")
        with ledger.at(None, "post_migrate"):
            ledger.find("missing-column", "no column")
        ledger.mark_undecided("a question")
    ledger.mark_undecided("another")

    places = [(finding.migration, finding.operation) for finding in ledger.findings]
    assert places == [("app.0001", "0: AddField"), (None, "post_migrate")]
    assert [item.what for item in ledger.undecided] == ["app.0001 0: AddField", "migrate"]
    for name in ("migration", "operation", "operation_unknown", "findings", "undecided"):
        with pytest.raises(AttributeError):
            setattr(ledger, name, None)


def test_what_is_raised_can_be_told_of_the_innermost_place() -> None:
    ledger, error = Ledger(), ValueError("no")

    with suppress(ValueError), ledger.at("app.0001"):
        ledger.doubt("it has its own apply()")
        with ledger.at("app.0001", "0: AddField"):
            raise error
    with ledger.where_raised(error):
        ledger.find("operation-raises", "it cannot be done")

    assert ledger.findings == ()
    [item] = ledger.undecided
    assert item.what == "app.0001 0: AddField"
    assert item.why == "it cannot be done; but it has its own apply()"
    assert (ledger.migration, ledger.operation, ledger.operation_unknown) == (None, None, None)


def test_a_doubt_is_of_its_migration_and_not_of_the_next() -> None:
    ledger = Ledger()

    with ledger.at("app.0001"):
        ledger.doubt("it has its own apply()")
        with ledger.at("app.0002"):
            ledger.find("missing-table", "no table")
    with ledger.at("app.0003"):
        ledger.find("missing-table", "no table")

    assert [finding.migration for finding in ledger.findings] == ["app.0002", "app.0003"]


def test_what_is_added_stays_true_whatever_sql_by_hand_says() -> None:
    ledger = Ledger()
    ledger.raw("ALTER TABLE shop_price ADD COLUMN amount numeric")

    ledger.find("missing-column", "no column", table="shop_price", column="amount")
    ledger.add(INFO, INFO)

    assert ledger.findings == (INFO,)
