"""Dashboards, cash positions and alerts to look at, made from whatever payments there are."""

from datetime import date, timedelta
from decimal import Decimal

from django.db.models import QuerySet, Sum

from treasury.models import (
    Account,
    Alert,
    AlertRule,
    DailyCashPosition,
    Dashboard,
    Payment,
    PaymentNote,
    Widget,
)

DAYS = 30
ALERTS_PER_RULE = 12
OPENING_BALANCE = Decimal(250_000)
LARGE = Decimal(25_000)

DASHBOARDS = {
    "group-liquidity": (
        "Group liquidity",
        "What we hold, what leaves us, and what needs a decision.",
        {
            Widget.Kind.CASH: "Cash by account, last 30 days",
            Widget.Kind.ALERTS: "Waiting for somebody",
            Widget.Kind.TOTALS: "Payments by currency and status",
            Widget.Kind.PAYMENTS: "Latest payments",
        },
    ),
    "main-account": (
        "Main account",
        "One account, from the balance to the single payment.",
        {
            Widget.Kind.CASH: "Closing balance, last 30 days",
            Widget.Kind.PAYMENTS: "Latest payments",
            Widget.Kind.TOTALS: "Payments by status",
        },
    ),
}


def make_dashboards(alias: str) -> None:
    """Make the two dashboards, and their widgets, unless they are there."""
    main = Account.objects.using(alias).order_by("pk").first()
    for slug, (title, description, widgets) in DASHBOARDS.items():
        dashboard, created = Dashboard.objects.using(alias).get_or_create(
            slug=slug,
            defaults={
                "title": title,
                "description": description,
                "account": main if slug == "main-account" else None,
            },
        )
        if created:
            Widget.objects.using(alias).bulk_create(
                Widget(dashboard=dashboard, kind=kind, title=title, position=position)
                for position, (kind, title) in enumerate(widgets.items(), start=1)
            )


def make_positions(alias: str, today: date) -> None:
    """Compute each account's last days from its paid payments; customers pay every fifth day."""
    first = today - timedelta(days=DAYS - 1)
    paid = (
        Payment.objects.using(alias)
        .filter(status=Payment.Status.PAID, due_date__range=(first, today))
        .values_list("account_id", "due_date")
        .annotate(total=Sum("amount"))
    )
    outflow = {(account_id, day): total for account_id, day, total in paid}
    days = [first + timedelta(days=offset) for offset in range(DAYS)]
    positions = []
    for account in Account.objects.using(alias):
        per_day = [outflow.get((account.pk, day), Decimal(0)) for day in days]
        receipt = (sum(per_day, Decimal(0)) / DAYS * 5).quantize(Decimal(1))
        balance = OPENING_BALANCE + 2 * receipt
        for index, (day, paid_out) in enumerate(zip(days, per_day, strict=True)):
            received = receipt if index % 5 == account.pk % 5 else Decimal(0)
            closing = balance + received - paid_out
            positions.append(
                DailyCashPosition(
                    account=account,
                    day=day,
                    opening_balance=balance,
                    received=received,
                    paid_out=paid_out,
                    closing_balance=closing,
                )
            )
            balance = closing
    DailyCashPosition.objects.using(alias).bulk_create(
        positions,
        update_conflicts=True,
        unique_fields=["account", "day"],
        update_fields=["opening_balance", "received", "paid_out", "closing_balance"],
    )


def make_alerts(alias: str, today: date) -> None:
    """Make two rules and what they say about unpaid payments, unless they are there."""
    unpaid = Payment.objects.using(alias).filter(
        status__in=[Payment.Status.PENDING, Payment.Status.APPROVED]
    )
    _raise(
        alias,
        {"name": "Large payment", "kind": AlertRule.Kind.LARGE, "threshold": LARGE},
        AlertRule.Severity.WARNING,
        unpaid.filter(amount__gte=LARGE).order_by("-amount"),
    )
    _raise(
        alias,
        {"name": "Overdue payment", "kind": AlertRule.Kind.OVERDUE},
        AlertRule.Severity.CRITICAL,
        unpaid.filter(due_date__lt=today).order_by("-due_date", "pk"),
    )


def _raise(
    alias: str,
    rule: dict[str, object],
    severity: AlertRule.Severity,
    payments: QuerySet[Payment],
) -> None:
    made, created = AlertRule.objects.using(alias).get_or_create(
        name=rule["name"], defaults={**rule, "severity": severity}
    )
    if not created:
        return
    chosen = list(payments[:ALERTS_PER_RULE])
    Alert.objects.using(alias).bulk_create(
        [Alert(rule=made, payment=payment) for payment in chosen]
    )
    if chosen:
        PaymentNote.objects.using(alias).create(
            payment=chosen[0], text=f"{made.name}: asked the account's owner before it goes out."
        )
