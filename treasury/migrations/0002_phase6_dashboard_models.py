"""Dashboards, daily cash positions and alerts; alerts and notes know a payment by `payment_id`."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("treasury", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Dashboard",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.SlugField(max_length=60, unique=True)),
                ("title", models.CharField(max_length=80)),
                ("description", models.CharField(blank=True, default="", max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="dashboards",
                        to="treasury.account",
                    ),
                ),
            ],
            options={
                "ordering": ["title"],
            },
        ),
        migrations.CreateModel(
            name="Widget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "dashboard",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="widgets",
                        to="treasury.dashboard",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("totals", "Totals by status and currency"),
                            ("cash", "Daily cash positions"),
                            ("payments", "Latest payments"),
                            ("alerts", "Open alerts"),
                        ],
                        max_length=10,
                    ),
                ),
                ("title", models.CharField(max_length=80)),
                ("position", models.PositiveSmallIntegerField()),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.CreateModel(
            name="DailyCashPosition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("opening_balance", models.DecimalField(decimal_places=2, max_digits=18)),
                (
                    "received",
                    models.DecimalField(decimal_places=2, default=0, max_digits=18),
                ),
                (
                    "paid_out",
                    models.DecimalField(decimal_places=2, default=0, max_digits=18),
                ),
                ("closing_balance", models.DecimalField(decimal_places=2, max_digits=18)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="positions",
                        to="treasury.account",
                    ),
                ),
            ],
            options={
                "ordering": ["day"],
                "indexes": [models.Index(fields=["day"], name="treasury_position_day")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "day"), name="treasury_position_account_day"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("paid_out__gte", 0), ("received__gte", 0)),
                        name="treasury_position_flows",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "closing_balance",
                                models.F("opening_balance")
                                + models.F("received")
                                - models.F("paid_out"),
                            )
                        ),
                        name="treasury_position_adds_up",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("large", "Amount at or above the threshold"),
                            ("overdue", "Due, and not paid"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("info", "Info"),
                            ("warning", "Warning"),
                            ("critical", "Critical"),
                        ],
                        default="warning",
                        max_length=10,
                    ),
                ),
                (
                    "threshold",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=16, null=True),
                ),
                ("is_active", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "large"), _negated=True),
                            models.Q(("threshold__gt", 0), ("threshold__isnull", False)),
                            _connector="OR",
                        ),
                        name="treasury_rule_large_threshold",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("raised_at", models.DateTimeField(auto_now_add=True)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="alerts",
                        to="treasury.alertrule",
                    ),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="treasury.payment",
                        to_field="payment_id",
                    ),
                ),
            ],
            options={
                "ordering": ["-raised_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="PaymentNote",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notes",
                        to="treasury.payment",
                        to_field="payment_id",
                    ),
                ),
            ],
            options={
                "ordering": ["created_at"],
            },
        ),
        migrations.AddConstraint(
            model_name="widget",
            constraint=models.UniqueConstraint(
                fields=("dashboard", "position"), name="treasury_widget_dashboard_position"
            ),
        ),
        migrations.AddConstraint(
            model_name="widget",
            constraint=models.UniqueConstraint(
                fields=("dashboard", "kind"), name="treasury_widget_dashboard_kind"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("acknowledged_at__isnull", True)),
                fields=["-raised_at", "-id"],
                name="treasury_alert_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                fields=("rule", "payment"), name="treasury_alert_rule_payment"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("acknowledged_by__isnull", True),
                    ("acknowledged_at__isnull", False),
                    _connector="OR",
                ),
                name="treasury_alert_acknowledged",
            ),
        ),
        migrations.AddIndex(
            model_name="paymentnote",
            index=models.Index(
                fields=["payment", "created_at"], name="treasury_note_payment_created"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentnote",
            constraint=models.CheckConstraint(
                condition=models.Q(("text", ""), _negated=True), name="treasury_note_not_empty"
            ),
        ),
    ]
