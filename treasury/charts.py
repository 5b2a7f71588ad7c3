"""The geometry of the charts; the templates draw it as SVG and put the words beside it in HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from treasury.models import Account, DailyCashPosition, Payment
from treasury.queries import CurrencyTotals

WIDTH = 600.0
BALANCE_HEIGHT = 120.0
OUTFLOW_HEIGHT = 50.0
GAP = 14.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A rectangle, what it means, and the class that colours it."""

    x: float
    y: float
    width: float
    height: float
    label: str
    css: str = ""


@dataclass(frozen=True, kw_only=True)
class StatusRow:
    """One currency's payments as one bar cut by status."""

    currency: str
    count: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class CashChart:
    """An account's closing balances as a line, and under it what was paid out each day."""

    account: Account
    width: float
    height: float
    line: str
    area: str
    bars: tuple[Bar, ...]
    first_day: date
    last_day: date
    highest: Decimal
    lowest: Decimal
    closing: Decimal
    paid_out: Decimal


def status_rows(totals: Sequence[CurrencyTotals]) -> list[StatusRow]:
    """Draw each currency's counts on one scale, so that the bars can be compared."""
    largest = max((each.count for each in totals), default=0)
    rows = []
    for each in totals:
        x, bars = 0.0, []
        for line in each.lines:
            width = round(WIDTH * line.count / largest, 2)
            label = f"{each.currency} {Payment.Status(line.status).label}: {line.count:,}"
            bars.append(Bar(x=x, y=0, width=width, height=10, label=label, css=line.status.value))
            x = round(x + width, 2)
        rows.append(StatusRow(currency=each.currency, count=each.count, bars=tuple(bars)))
    return rows


def cash_chart(account: Account, positions: Sequence[DailyCashPosition]) -> CashChart:
    """Draw the positions of one account, of which there is at least one, in order of the day."""
    balances = [position.closing_balance for position in positions]
    highest, lowest = max(balances), min(balances)
    slot = WIDTH / len(positions)
    points = [
        (round((index + 0.5) * slot, 2), _balance_y(balance, lowest, highest))
        for index, balance in enumerate(balances)
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    return CashChart(
        account=account,
        width=WIDTH,
        height=BALANCE_HEIGHT + GAP + OUTFLOW_HEIGHT,
        line=line,
        area=f"{points[0][0]},{BALANCE_HEIGHT} {line} {points[-1][0]},{BALANCE_HEIGHT}",
        bars=_outflow_bars(positions, slot),
        first_day=positions[0].day,
        last_day=positions[-1].day,
        highest=highest,
        lowest=lowest,
        closing=balances[-1],
        paid_out=sum((position.paid_out for position in positions), Decimal(0)),
    )


def _balance_y(balance: Decimal, lowest: Decimal, highest: Decimal) -> float:
    share = (balance - lowest) / (highest - lowest) if highest > lowest else Decimal("0.5")
    return round(BALANCE_HEIGHT - 4 - float(share) * (BALANCE_HEIGHT - 8), 2)


def _outflow_bars(positions: Sequence[DailyCashPosition], slot: float) -> tuple[Bar, ...]:
    largest = max(position.paid_out for position in positions) or Decimal(1)
    bottom = BALANCE_HEIGHT + GAP + OUTFLOW_HEIGHT
    bars = []
    for index, position in enumerate(positions):
        height = round(float(position.paid_out / largest) * OUTFLOW_HEIGHT, 2)
        bars.append(
            Bar(
                x=round((index + 0.15) * slot, 2),
                y=round(bottom - height, 2),
                width=round(0.7 * slot, 2),
                height=height,
                label=f"{position.day:%d %b}: paid out {position.paid_out:,.2f}, "
                f"closing balance {position.closing_balance:,.2f}",
            )
        )
    return tuple(bars)
