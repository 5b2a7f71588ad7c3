"""What the pages read, each in one query whose result is small however many payments there are."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, QuerySet, Sum

from treasury.models import Account, Alert, DailyCashPosition, Payment

LATEST_PAYMENTS = 10
CASH_DAYS = 30
CASH_ACCOUNTS = 8


@dataclass(frozen=True, kw_only=True)
class StatusTotal:
    """How many payments of one currency have one status, and their sum."""

    status: Payment.Status
    count: int
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class CurrencyTotals:
    """The payments of one currency, by status in the order of a payment's life."""

    currency: str
    lines: tuple[StatusTotal, ...]

    @property
    def count(self) -> int:
        """The number of payments in this currency."""
        return sum(line.count for line in self.lines)


def payment_totals(account_id: int | None = None) -> list[CurrencyTotals]:
    """Count and sum the payments by currency and status."""
    payments = Payment.objects.filter(account_id=account_id) if account_id else Payment.objects
    grouped: dict[str, dict[str, StatusTotal]] = defaultdict(dict)
    for row in payments.values("currency", "status").annotate(
        count=Count("pk"), amount=Sum("amount")
    ):
        grouped[row["currency"]][row["status"]] = StatusTotal(
            status=Payment.Status(row["status"]), count=row["count"], amount=row["amount"]
        )
    return [
        CurrencyTotals(
            currency=currency,
            lines=tuple(by_status[status] for status in Payment.Status if status in by_status),
        )
        for currency, by_status in sorted(grouped.items())
    ]


def latest_payments(account_id: int | None = None) -> QuerySet[Payment]:
    """The payments entered last; by key, because that needs no index of its own."""
    payments = Payment.objects.select_related("account").order_by("-pk")
    if account_id:
        payments = payments.filter(account_id=account_id)
    return payments[:LATEST_PAYMENTS]


def open_alerts(account_id: int | None = None) -> QuerySet[Alert]:
    """The alerts that nobody has acknowledged, newest first."""
    alerts = Alert.objects.select_related("rule", "payment").filter(acknowledged_at=None)
    return alerts.filter(payment__account_id=account_id) if account_id else alerts


def cash_positions(
    today: date, account_id: int | None = None
) -> list[tuple[Account, list[DailyCashPosition]]]:
    """The positions of the last days of one account, or of the first few active ones."""
    accounts = Account.objects.filter(is_active=True)[:CASH_ACCOUNTS]
    if account_id:
        accounts = Account.objects.filter(pk=account_id)
    found = DailyCashPosition.objects.filter(
        account_id__in=accounts.values("pk"), day__gt=today - timedelta(days=CASH_DAYS)
    ).select_related("account")
    return _by_account(found.order_by("account__name", "day"))


def _by_account(
    positions: Iterable[DailyCashPosition],
) -> list[tuple[Account, list[DailyCashPosition]]]:
    grouped: dict[Account, list[DailyCashPosition]] = defaultdict(list)
    for position in positions:
        grouped[position.account].append(position)
    return list(grouped.items())
