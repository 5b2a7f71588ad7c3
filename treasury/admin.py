"""Treasury in the admin."""

# Django's admin classes take no type argument at run time:
# mypy: disable-error-code="type-arg"

from django.contrib import admin

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


class WidgetInline(admin.TabularInline):
    """The widgets of a dashboard."""

    model = Widget
    extra = 0


class PaymentNoteInline(admin.TabularInline):
    """The notes on a payment."""

    model = PaymentNote
    extra = 0
    autocomplete_fields = ["author"]


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):
    """Accounts."""

    list_display = ["name", "number", "currency", "opened_on", "is_active"]
    list_filter = ["currency", "is_active"]
    search_fields = ["name", "number"]


@admin.register(Payment)
class PaymentAdmin(admin.ModelAdmin):
    """Payments, without the searches and counts that millions of rows make slow."""

    list_display = ["reference", "payee", "amount", "currency", "status", "due_date"]
    list_filter = ["status", "currency"]
    search_fields = ["reference__startswith", "payee__startswith"]
    readonly_fields = ["payment_id", "created_at", "updated_at"]
    autocomplete_fields = ["account"]
    show_full_result_count = False
    inlines = [PaymentNoteInline]


@admin.register(Dashboard)
class DashboardAdmin(admin.ModelAdmin):
    """Dashboards with their widgets."""

    list_display = ["title", "slug", "account"]
    list_select_related = ["account"]
    prepopulated_fields = {"slug": ["title"]}
    autocomplete_fields = ["account"]
    inlines = [WidgetInline]


@admin.register(DailyCashPosition)
class DailyCashPositionAdmin(admin.ModelAdmin):
    """Daily cash positions."""

    list_display = ["account", "day", "opening_balance", "received", "paid_out", "closing_balance"]
    list_select_related = ["account"]
    list_filter = ["account"]
    date_hierarchy = "day"
    autocomplete_fields = ["account"]


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):
    """The rules that raise alerts."""

    list_display = ["name", "kind", "severity", "threshold", "is_active"]
    search_fields = ["name"]


@admin.register(Alert)
class AlertAdmin(admin.ModelAdmin):
    """Alerts and who acknowledged them."""

    list_display = ["payment", "rule", "raised_at", "acknowledged_at", "acknowledged_by"]
    list_select_related = ["payment", "rule", "acknowledged_by"]
    list_filter = ["rule", "acknowledged_at"]
    autocomplete_fields = ["payment", "rule", "acknowledged_by"]
