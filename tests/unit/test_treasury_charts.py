"""The geometry of the charts."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from treasury.charts import BALANCE_HEIGHT, WIDTH, cash_chart, status_rows
from treasury.models import Account, DailyCashPosition, Payment
from treasury.queries import CurrencyTotals, StatusTotal


def totals(currency: str, **counts: int) -> CurrencyTotals:
    return CurrencyTotals(
        currency=currency,
        lines=tuple(
            StatusTotal(status=Payment.Status(status), count=count, amount=Decimal(count))
            for status, count in counts.items()
        ),
    )


def positions(*closing: int) -> list[DailyCashPosition]:
    return [
        DailyCashPosition(
            day=date(2026, 1, 1) + timedelta(days=index),
            paid_out=Decimal(0),
            closing_balance=Decimal(balance),
        )
        for index, balance in enumerate(closing)
    ]


def test_the_largest_currency_fills_the_width_and_the_others_keep_its_scale() -> None:
    euro, sterling = status_rows([totals("EUR", draft=25, paid=75), totals("GBP", paid=50)])

    assert [(bar.x, bar.width, bar.css) for bar in euro.bars] == [
        (0, WIDTH / 4, "draft"),
        (WIDTH / 4, WIDTH * 3 / 4, "paid"),
    ]
    assert [bar.width for bar in sterling.bars] == [WIDTH / 2]
    assert sterling.bars[0].label == "GBP Paid: 50"


def test_no_payments_give_no_rows() -> None:
    assert status_rows([]) == []


def test_balances_are_drawn_between_the_lowest_and_the_highest() -> None:
    chart = cash_chart(Account(name="Main", currency="EUR"), positions(100, -50, 25))

    heights = [float(point.split(",")[1]) for point in chart.line.split()]
    assert heights == [4, BALANCE_HEIGHT - 4, BALANCE_HEIGHT / 2]
    assert (chart.lowest, chart.highest, chart.closing) == (-50, 100, 25)


@pytest.mark.parametrize("closing", [[0], [7, 7, 7]])
def test_a_single_day_or_a_flat_balance_without_payments_is_drawn(closing: list[int]) -> None:
    chart = cash_chart(Account(name="Main", currency="EUR"), positions(*closing))

    assert {point.split(",")[1] for point in chart.line.split()} == {str(BALANCE_HEIGHT / 2)}
    assert {bar.height for bar in chart.bars} == {0}
