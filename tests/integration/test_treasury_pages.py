"""What people see of treasury."""

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from treasury.models import Account, Alert, AlertRule, DailyCashPosition, Dashboard, Payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(django_user_model: Any) -> AbstractBaseUser:
    return django_user_model.objects.create_superuser("ada", "ada@example.com", "correct horse")


@pytest.fixture
def signed_in(client: Client, user: AbstractBaseUser) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def account() -> Account:
    return Account.objects.create(
        name="Main", number="DE89370400440532013000", currency="EUR", opened_on=date(2020, 1, 2)
    )


@pytest.fixture
def make_payments(account: Account) -> Callable[..., list[Payment]]:
    def make(count: int, **fields: Any) -> list[Payment]:
        first = Payment.objects.count()
        values = {
            "account": account,
            "payee": "Kestrel Insurance",
            "amount": Decimal("40000.50"),
            "currency": "EUR",
            "status": Payment.Status.PENDING,
            "due_date": timezone.localdate() - timedelta(days=3),
        } | fields
        return Payment.objects.bulk_create(
            Payment(reference=f"INV-{first + number}", **values) for number in range(count)
        )

    return make


@pytest.fixture
def payment(make_payments: Callable[..., list[Payment]]) -> Payment:
    return make_payments(1)[0]


@pytest.fixture
def alert(payment: Payment) -> Alert:
    rule = AlertRule.objects.create(name="Late", kind=AlertRule.Kind.OVERDUE)
    return Alert.objects.create(rule=rule, payment=payment)


@pytest.fixture
def acknowledge_url(alert: Alert) -> str:
    return reverse("treasury:alert-acknowledge", args=[alert.pk])


@pytest.mark.parametrize(
    "path",
    ["/dashboards/", "/dashboards/any/", "/alerts/", f"/payments/{uuid.UUID(int=7)}/"],
)
def test_every_page_asks_a_stranger_to_sign_in(client: Client, path: str) -> None:
    response = client.get(path, secure=True)

    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next={path}"


def test_signing_in_leads_to_the_dashboards_and_out_again(
    client: Client, user: AbstractBaseUser
) -> None:
    page = client.get("/accounts/login/", secure=True)
    answer = client.post(
        "/accounts/login/", {"username": "ada", "password": "correct horse"}, secure=True
    )

    assert "Sign in" in page.content.decode()
    assert answer["Location"] == "/dashboards/"
    assert client.post("/accounts/logout/", secure=True)["Location"] == "/accounts/login/"
    assert client.get("/dashboards/", secure=True).status_code == 302


def test_the_front_page_leads_to_the_dashboards(client: Client) -> None:
    assert client.get("/", secure=True)["Location"] == "/dashboards/"


def test_healthz_names_the_release_to_anybody(client: Client, settings: Any) -> None:
    settings.RELEASE = "2026.11"

    response = client.get("/healthz", secure=True)

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "release": "2026.11"}


def test_healthz_answers_503_when_the_database_does_not_answer(client: Client) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        response = client.get("/healthz", secure=True)

    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"


def test_dashboards_say_what_to_do_when_there_are_none(signed_in: Client) -> None:
    page = signed_in.get("/dashboards/", secure=True).content.decode()

    assert "No dashboards yet" in page
    assert "make_treasury_demo" in page
    assert "No payments yet." in page


def test_dashboards_show_totals_by_status_and_currency(
    signed_in: Client, make_payments: Callable[..., list[Payment]]
) -> None:
    make_payments(2)
    make_payments(1, currency="GBP", amount=Decimal("1.25"), status=Payment.Status.PAID)

    page = signed_in.get("/dashboards/", secure=True).content.decode()

    assert "80,001.00" in page
    assert "1.25" in page
    assert "EUR Pending: 2" in page
    assert "GBP Paid: 1" in page
    assert "<svg" in page


@pytest.mark.parametrize("slug", ["group-liquidity", "main-account"])
def test_a_dashboard_shows_its_widgets_with_as_many_queries_for_any_number_of_rows(
    signed_in: Client,
    make_payments: Callable[..., list[Payment]],
    django_assert_num_queries: Any,
    slug: str,
) -> None:
    make_payments(30)
    call_command("make_treasury_demo", verbosity=0)
    dashboard = Dashboard.objects.get(slug=slug)
    widgets = dashboard.widgets.all()

    with django_assert_num_queries(4 + len(widgets)):  # session, user, dashboard, widgets
        page = signed_in.get(dashboard.get_absolute_url(), secure=True).content.decode()

    for widget in widgets:
        assert widget.title in page
    assert "<polyline" in page
    assert "INV-29" in page
    assert "EUR 40,000.50" in page


def test_a_dashboard_without_payments_and_one_without_widgets_are_readable(
    signed_in: Client,
) -> None:
    call_command("make_treasury_demo", verbosity=0)
    Dashboard.objects.create(slug="bare", title="Bare")

    full = signed_in.get("/dashboards/group-liquidity/", secure=True).content.decode()
    bare = signed_in.get("/dashboards/bare/", secure=True).content.decode()

    assert "No cash positions in the last 30 days." in full
    assert "No open alerts." in full
    assert "No widgets yet" in bare


def test_an_unknown_dashboard_is_not_found(signed_in: Client) -> None:
    assert signed_in.get("/dashboards/none/", secure=True).status_code == 404


def test_alerts_name_the_payment_and_lead_to_it(signed_in: Client, alert: Alert) -> None:
    page = signed_in.get("/alerts/", secure=True).content.decode()

    assert "1 open alert." in page
    assert f'href="/payments/{alert.payment_id}/"' in page
    assert "Kestrel Insurance" in page


def test_no_alerts_are_good_news(signed_in: Client) -> None:
    assert "Nothing to look at" in signed_in.get("/alerts/", secure=True).content.decode()


def test_acknowledging_notes_who_and_when(
    signed_in: Client, user: AbstractBaseUser, alert: Alert, acknowledge_url: str
) -> None:
    answer = signed_in.post(acknowledge_url, secure=True, follow=True)

    alert.refresh_from_db()
    assert alert.acknowledged_by_id == user.pk
    assert alert.acknowledged_at is not None
    assert "Alert about INV-0 acknowledged." in answer.content.decode()


def test_acknowledging_again_keeps_the_first_who_did(
    signed_in: Client,
    user: AbstractBaseUser,
    django_user_model: Any,
    alert: Alert,
    acknowledge_url: str,
) -> None:
    signed_in.post(acknowledge_url, secure=True)
    signed_in.force_login(django_user_model.objects.create_user("bob"))

    answer = signed_in.post(acknowledge_url, secure=True, follow=True)

    alert.refresh_from_db()
    assert alert.acknowledged_by_id == user.pk
    assert "was acknowledged before" in answer.content.decode()


def test_acknowledging_needs_a_post_a_token_and_somebody(
    client: Client, user: AbstractBaseUser, alert: Alert, acknowledge_url: str
) -> None:
    stranger = client.post(acknowledge_url, secure=True)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    assert stranger["Location"].startswith("/accounts/login/")
    assert strict.get(acknowledge_url, secure=True).status_code == 405
    assert strict.post(acknowledge_url, secure=True).status_code == 403
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_a_payment_is_found_by_its_payment_id(signed_in: Client, alert: Alert) -> None:
    response = signed_in.get(f"/payments/{alert.payment_id}/", secure=True)

    assert response.status_code == 200
    page = response.content.decode()
    assert "EUR 40,000.50 to Kestrel Insurance" in page
    assert str(alert.payment_id) in page
    assert "Late" in page


@pytest.mark.parametrize("name", [str(uuid.UUID(int=7)), "1", "not-a-uuid"])
def test_an_unknown_payment_is_not_found(signed_in: Client, payment: Payment, name: str) -> None:
    assert signed_in.get(f"/payments/{name}/", secure=True).status_code == 404


def test_what_people_type_cannot_become_markup(
    signed_in: Client, make_payments: Callable[..., list[Payment]]
) -> None:
    (payment,) = make_payments(1, payee="<script>alert(1)</script>", memo="<b>x</b>\n<i>y</i>")

    page = signed_in.get(payment.get_absolute_url(), secure=True).content.decode()

    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "&lt;b&gt;x&lt;/b&gt;<br>" in page


@pytest.mark.parametrize(
    "model", ["account", "payment", "dashboard", "dailycashposition", "alertrule", "alert"]
)
def test_the_admin_lists_and_edits_every_model(
    signed_in: Client, alert: Alert, account: Account, model: str
) -> None:
    Dashboard.objects.create(slug="bare", title="Bare", account=account)
    DailyCashPosition.objects.create(
        account=account, day=date(2026, 1, 1), opening_balance=5, closing_balance=5
    )

    listed = signed_in.get(f"/admin/treasury/{model}/?q=INV", secure=True, follow=True)
    added = signed_in.get(f"/admin/treasury/{model}/add/", secure=True)

    assert (listed.status_code, added.status_code) == (200, 200)


def test_the_demonstration_can_be_made_twice(
    make_payments: Callable[..., list[Payment]],
) -> None:
    make_payments(3)
    call_command("make_treasury_demo", verbosity=0)
    before = (Dashboard.objects.count(), DailyCashPosition.objects.count(), Alert.objects.count())

    call_command("make_treasury_demo", verbosity=0)

    assert before == (2, 30, 6)
    assert before == (
        Dashboard.objects.count(),
        DailyCashPosition.objects.count(),
        Alert.objects.count(),
    )
