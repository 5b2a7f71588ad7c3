"""What must hold of the treasury after a migration."""

from opsmigrate import uat

uat.expect("treasury.Payment", live=True, reason="the old release goes on taking payments")


@uat.check("treasury-amounts", tags=("treasury", "database"), severity="major", timeout=300)
def amounts(context: uat.Context) -> str:
    """Every payment has a positive amount, and the totals by currency are known."""
    with context.connection.cursor() as cursor:
        cursor.execute(
            "SELECT currency, count(*), sum(amount), count(*) FILTER (WHERE amount <= 0)"
            " FROM treasury_payment GROUP BY currency ORDER BY currency"
        )
        rows = cursor.fetchall()
    wrong = [currency for currency, _, _, not_positive in rows if not_positive]
    if wrong:
        raise uat.Failed(f"payments without a positive amount in {', '.join(wrong)}")
    return "; ".join(
        f"{currency}: {count:,} payments, {total:,}" for currency, count, total, _ in rows
    )


@uat.check("treasury-alerts", tags=("treasury", "database"), severity="major")
def alerts(context: uat.Context) -> str:
    """Every alert that points to a payment points to one that is there."""
    with context.connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(a.payment_id), count(a.payment_id) - count(p.payment_id)"
            " FROM treasury_alert a LEFT JOIN treasury_payment p USING (payment_id)"
        )
        total, pointing, lost = cursor.fetchone()
    if lost:
        raise uat.Failed(f"{lost} of {pointing} alerts point to a payment that is not there")
    return f"{total} alerts, {pointing} of them point to a payment, none to a missing one"
