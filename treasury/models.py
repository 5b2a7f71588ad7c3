"""What treasury keeps: accounts and payments, the dashboards over them, and alerts about them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse


class Account(models.Model):
    """A bank account that payments are made from."""

    name = models.CharField(max_length=120, unique=True)
    number = models.CharField("account number", max_length=34, unique=True)
    currency = models.CharField(max_length=3)
    opened_on = models.DateField()
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(currency__regex=r"^[A-Z]{3}$"), name="treasury_account_currency_iso"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.currency})"


class Payment(models.Model):
    """Money that leaves an account; the outside world knows it by `payment_id`."""

    class Status(models.TextChoices):
        """How far a payment has come."""

        DRAFT = "draft", "Draft"
        PENDING = "pending", "Pending"
        APPROVED = "approved", "Approved"
        PAID = "paid", "Paid"
        REJECTED = "rejected", "Rejected"

    payment_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="payments")
    reference = models.CharField(max_length=64)
    payee = models.CharField(max_length=140)
    amount = models.DecimalField(max_digits=16, decimal_places=2)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    due_date = models.DateField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    memo = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["status", "due_date"], name="treasury_payment_status_due"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0), name="treasury_payment_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(currency__regex=r"^[A-Z]{3}$"), name="treasury_payment_currency_iso"
            ),
            models.UniqueConstraint(
                fields=["account", "reference"], name="treasury_payment_account_reference"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} to {self.payee}"

    def get_absolute_url(self) -> str:
        """The page of this payment."""
        return reverse("treasury:payment", args=[self.payment_id])


class Dashboard(models.Model):
    """A page of widgets, over one account or over all of them."""

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True, default="")
    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.PROTECT, related_name="dashboards"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The page of this dashboard."""
        return reverse("treasury:dashboard", args=[self.slug])


class Widget(models.Model):
    """One part of a dashboard; a dashboard has each kind at most once."""

    class Kind(models.TextChoices):
        """What a widget shows."""

        TOTALS = "totals", "Totals by status and currency"
        CASH = "cash", "Daily cash positions"
        PAYMENTS = "payments", "Latest payments"
        ALERTS = "alerts", "Open alerts"

    dashboard = models.ForeignKey(Dashboard, on_delete=models.CASCADE, related_name="widgets")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    title = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["dashboard", "position"], name="treasury_widget_dashboard_position"
            ),
            models.UniqueConstraint(
                fields=["dashboard", "kind"], name="treasury_widget_dashboard_kind"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class DailyCashPosition(models.Model):
    """What an account held at the beginning and the end of one day."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="positions")
    day = models.DateField()
    opening_balance = models.DecimalField(max_digits=18, decimal_places=2)
    received = models.DecimalField(max_digits=18, decimal_places=2, default=0)
    paid_out = models.DecimalField(max_digits=18, decimal_places=2, default=0)
    closing_balance = models.DecimalField(max_digits=18, decimal_places=2)

    class Meta:
        ordering = ["day"]
        indexes = [models.Index(fields=["day"], name="treasury_position_day")]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "day"], name="treasury_position_account_day"
            ),
            models.CheckConstraint(
                condition=Q(received__gte=0, paid_out__gte=0), name="treasury_position_flows"
            ),
            models.CheckConstraint(
                condition=Q(closing_balance=F("opening_balance") + F("received") - F("paid_out")),
                name="treasury_position_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} on {self.day:%Y-%m-%d}"


class AlertRule(models.Model):
    """When a payment deserves somebody's attention."""

    class Kind(models.TextChoices):
        """What a rule looks at."""

        LARGE = "large", "Amount at or above the threshold"
        OVERDUE = "overdue", "Due, and not paid"

    class Severity(models.TextChoices):
        """How soon somebody should look."""

        INFO = "info", "Info"
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    threshold = models.DecimalField(max_digits=16, decimal_places=2, null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind="large") | Q(threshold__isnull=False, threshold__gt=0),
                name="treasury_rule_large_threshold",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """A payment that met a rule, and who has seen it."""

    rule = models.ForeignKey(AlertRule, on_delete=models.PROTECT, related_name="alerts")
    payment = models.ForeignKey(
        Payment, to_field="payment_id", on_delete=models.CASCADE, related_name="alerts"
    )
    raised_at = models.DateTimeField(auto_now_add=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        ordering = ["-raised_at", "-id"]
        indexes = [
            models.Index(
                fields=["-raised_at", "-id"],
                condition=Q(acknowledged_at__isnull=True),
                name="treasury_alert_open",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["rule", "payment"], name="treasury_alert_rule_payment"),
            models.CheckConstraint(
                condition=Q(acknowledged_by__isnull=True) | Q(acknowledged_at__isnull=False),
                name="treasury_alert_acknowledged",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.payment_id}"


class PaymentNote(models.Model):
    """What somebody wrote about a payment."""

    payment = models.ForeignKey(
        Payment, to_field="payment_id", on_delete=models.CASCADE, related_name="notes"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]
        indexes = [
            models.Index(fields=["payment", "created_at"], name="treasury_note_payment_created"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="treasury_note_not_empty"),
        ]

    def __str__(self) -> str:
        return self.text[:60]
