"""The pages; each asks a fixed number of queries."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from treasury import charts, queries
from treasury.models import Alert, Dashboard, Payment, Widget

ALERTS_SHOWN = 50
WIDGET_ALERTS_SHOWN = 5
ACKNOWLEDGED_SHOWN = 10


@require_safe
@login_required
def dashboards(request: HttpRequest) -> HttpResponse:
    """Every dashboard, and the totals of all payments."""
    context = {
        "dashboards": Dashboard.objects.select_related("account"),
        "open_alerts": queries.open_alerts().count(),
        **_totals(None),
    }
    return render(request, "treasury/dashboards.html", context)


@require_safe
@login_required
def dashboard(request: HttpRequest, slug: str) -> HttpResponse:
    """One dashboard with its widgets."""
    found = get_object_or_404(Dashboard.objects.select_related("account"), slug=slug)
    widgets = [
        (
            widget,
            render_to_string(
                f"treasury/widgets/{widget.kind}.html",
                WIDGETS[Widget.Kind(widget.kind)](found.account_id),
            ),
        )
        for widget in found.widgets.all()
    ]
    return render(request, "treasury/dashboard.html", {"dashboard": found, "widgets": widgets})


@require_safe
@login_required
def alerts(request: HttpRequest) -> HttpResponse:
    """The open alerts, and those acknowledged last."""
    acknowledged = (
        Alert.objects.filter(acknowledged_at__isnull=False)
        .select_related("rule", "payment", "acknowledged_by")
        .order_by("-acknowledged_at")
    )
    context = {
        "alerts": queries.open_alerts()[:ALERTS_SHOWN],
        "open_alerts": queries.open_alerts().count(),
        "acknowledged": acknowledged[:ACKNOWLEDGED_SHOWN],
    }
    return render(request, "treasury/alerts.html", context)


@require_POST
@login_required
def acknowledge_alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Note who has seen an alert; the first who says so stays."""
    alert = get_object_or_404(Alert.objects.select_related("payment"), pk=pk)
    changed = Alert.objects.filter(pk=pk, acknowledged_at=None).update(
        acknowledged_at=timezone.now(), acknowledged_by_id=request.user.pk
    )
    if changed:
        messages.success(request, f"Alert about {alert.payment.reference} acknowledged.")
    else:
        messages.info(request, f"Alert about {alert.payment.reference} was acknowledged before.")
    return redirect("treasury:alerts")


@require_safe
@login_required
def payment(request: HttpRequest, payment_id: UUID) -> HttpResponse:
    """One payment, with its alerts and notes."""
    found = get_object_or_404(Payment.objects.select_related("account"), payment_id=payment_id)
    context = {
        "payment": found,
        "alerts": found.alerts.select_related("rule", "acknowledged_by"),
        "notes": found.notes.select_related("author"),
    }
    return render(request, "treasury/payment.html", context)


def _totals(account_id: int | None) -> dict[str, Any]:
    totals = queries.payment_totals(account_id)
    return {
        "totals": totals,
        "rows": charts.status_rows(totals),
        "statuses": Payment.Status.choices,
        "chart_width": charts.WIDTH,
    }


def _cash(account_id: int | None) -> dict[str, Any]:
    positions = queries.cash_positions(timezone.localdate(), account_id)
    return {"charts": [charts.cash_chart(account, days) for account, days in positions]}


def _payments(account_id: int | None) -> dict[str, Any]:
    return {"payments": queries.latest_payments(account_id)}


def _alerts(account_id: int | None) -> dict[str, Any]:
    return {"alerts": queries.open_alerts(account_id)[:WIDGET_ALERTS_SHOWN]}


WIDGETS: dict[Widget.Kind, Callable[[int | None], dict[str, Any]]] = {
    Widget.Kind.TOTALS: _totals,
    Widget.Kind.CASH: _cash,
    Widget.Kind.PAYMENTS: _payments,
    Widget.Kind.ALERTS: _alerts,
}
