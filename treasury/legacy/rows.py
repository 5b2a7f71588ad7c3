"""The accounts and payments of the legacy staging database; one moment always gives the same."""

from django.db import connections

# Payments fall due on working days; old ones are mostly paid, future ones mostly await approval.
# md5 rather than random(): it gives the same rows on every server version.
PAYMENTS = """
WITH account AS (
    SELECT id, currency, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS accounts
    FROM treasury_account
), digits AS (
    SELECT n, md5('treasury' || n) AS h FROM generate_series(1, %(rows)s::bigint) AS n
), dice AS (
    SELECT
        n,
        ('x' || substr(h, 1, 7))::bit(28)::int AS a,
        ('x' || substr(h, 8, 7))::bit(28)::int AS b,
        ('x' || substr(h, 15, 7))::bit(28)::int AS c,
        ('x' || substr(h, 22, 7))::bit(28)::int AS d,
        ('x' || substr(h, 29, 4))::bit(16)::int AS fate,
        now() - interval '365 days' * (1 - n::float8 / %(rows)s) AS entered
    FROM digits
), dated AS (
    SELECT dice.*, entered::date + (ARRAY[7, 14, 30, 30, 45, 60])[1 + mod(a, 6)] AS terms
    FROM dice
), due AS (
    SELECT dated.*, terms + (ARRAY[0, 0, 0, 0, 0, 2, 1])[extract(isodow FROM terms)::int] AS due_on
    FROM dated
), judged AS (
    SELECT due.*, CASE
        WHEN due_on <= current_date THEN
            CASE WHEN mod(fate, 1000) < 970 THEN 'paid' WHEN mod(fate, 1000) < 990 THEN 'rejected'
                 WHEN mod(fate, 1000) < 996 THEN 'approved' ELSE 'pending' END
        ELSE
            CASE WHEN mod(fate, 100) < 45 THEN 'pending' WHEN mod(fate, 100) < 80 THEN 'approved'
                 ELSE 'draft' END
    END AS status
    FROM due
)
INSERT INTO treasury_payment (
    reference, payee, amount, currency, status, due_date, created_at, updated_at, memo, account_id
)
SELECT
    'INV-' || to_char(entered, 'YYYY') || '-' || lpad(n::text, 8, '0'),
    (%(payees)s::text[])[1 + mod(c, cardinality(%(payees)s::text[]))],
    round(power(10, 1.4 + 3.2 * (mod(d, 1000) + mod(c, 1000) + mod(b, 1000)) / 3000.0)::numeric
          + mod(d, 100) / 100.0, 2),
    account.currency,
    status,
    due_on,
    entered,
    CASE status WHEN 'paid' THEN greatest(entered, least(now(), due_on::timestamptz))
                ELSE entered END,
    (%(memos)s::text[])[1 + mod(d, cardinality(%(memos)s::text[]))],
    account.id
FROM judged
JOIN account ON account.place = mod(a / 7, accounts)
ORDER BY n
"""

ACCOUNTS = (
    ("Operating account", "DE89370400440532013000", "EUR", "2014-03-03"),
    ("Suppliers Europe", "FR1420041010050500013M02606", "EUR", "2016-09-19"),
    ("Payroll", "NL91ABNA0417164300", "EUR", "2014-03-03"),
    ("Sterling desk", "GB29NWBK60161331926819", "GBP", "2017-05-22"),
    ("Swiss branch", "CH9300762011623852957", "CHF", "2019-01-14"),
    ("US collections", "021000021-000123456789", "USD", "2020-11-02"),
)

PAYEES = (
    "Aldous Facility Services",
    "Brenner & Sohn Spedition",
    "Castellano Packaging",
    "City Energy Supply",
    "Dunmore Consulting",
    "Eastgate Properties",
    "Falk Medical Supplies",
    "Greenfield Catering",
    "Harbour Freight Lines",
    "Ilmari Software Oy",
    "Jansen Office Furniture",
    "Kestrel Insurance",
    "Lumen Telecom",
    "Marchetti Print Works",
    "Nordlicht Reinigung",
    "O'Hara Legal LLP",
    "Perrin et Fils",
    "Quay Street Architects",
    "Rathbone Car Leasing",
    "Søren Holm Design ApS",
    "Tessier Électricité",
    "Umbra Security",
    "Varga Logistics Kft.",
    "Wolff Maschinenbau GmbH",
)

MEMOS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "Second reminder",
    "Split invoice, part 1 of 2",
    "Per contract",
)


def insert_rows(alias: str, rows: int) -> None:
    """Insert the accounts and that many payments, and refresh the planner's statistics."""
    with connections[alias].cursor() as cursor:
        cursor.executemany(
            "INSERT INTO treasury_account (name, number, currency, opened_on, is_active)"
            " VALUES (%s, %s, %s, %s, true)",
            ACCOUNTS,
        )
        cursor.execute(PAYMENTS, {"rows": rows, "payees": list(PAYEES), "memos": list(MEMOS)})
        cursor.execute("ANALYZE treasury_account, treasury_payment")
