"""How rows are changed or deleted by hand so that nothing is lost: a table keeps them as they were.

There is no other place where steps that change many rows are made.
"""

from opsmigrate.steps import Step, statement


def keeping(
    change: str, *, table: str, rows: str, kept: str, risk: str, alternative: int = 1
) -> tuple[Step, ...]:
    """Return the steps of a `change` (UPDATE … SET …, DELETE FROM …) of the `rows` of a table.

    All are SQL: `table`, `kept`, which is the free name of the table that keeps the rows, and
    `rows`, the condition after WHERE. One transaction, and a lock that lets others read only:
    what is kept is what is changed. Where a step fails, COMMIT changes nothing.
    """
    copy = f"CREATE TABLE {kept} AS SELECT * FROM {table} WHERE {rows}"  # noqa: S608
    risk = f"{risk}; {kept} keeps them as they were"
    return (
        statement("BEGIN", alternative=alternative),
        statement(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE", alternative=alternative),
        statement(copy, alternative=alternative),
        statement(f"{change} WHERE {rows}", risk=risk, alternative=alternative),
        statement("COMMIT", alternative=alternative),
    )
