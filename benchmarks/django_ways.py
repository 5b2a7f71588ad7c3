"""The ways of Django's own documentation, on a part of the rows."""

from __future__ import annotations

import sys
import uuid

import django

BULK = 1000


def loop(rows: int) -> None:
    """Give rows a value one by one, as the how-to on unique fields shows it."""
    from treasury.models import Payment

    for payment in Payment.objects.filter(payment_id__isnull=True).order_by("pk")[:rows]:
        payment.payment_id = uuid.uuid4()
        payment.save(update_fields=["payment_id"])


def bulk_update(rows: int) -> None:
    """Give rows a value in batches of bulk_update()."""
    from treasury.models import Payment

    done = 0
    while done < rows:
        payments = list(Payment.objects.filter(payment_id__isnull=True).order_by("pk")[:BULK])
        if not payments:
            return
        for payment in payments:
            payment.payment_id = uuid.uuid4()
        Payment.objects.bulk_update(payments, ["payment_id"])
        done += len(payments)


if __name__ == "__main__":
    django.setup()
    {"loop": loop, "bulk_update": bulk_update}[sys.argv[1]](int(sys.argv[2]))
