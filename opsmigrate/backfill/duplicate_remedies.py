"""What to type where one value stands on several rows, and the column is to be unique."""

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.steps import Step, command, statement

ALL_BUT_ONE = (
    "look at those rows and decide which one keeps the value; if it does not matter, give all but "
    "one a new value"
)


def new_value(spec: ColumnSpec) -> str | None:
    """Return the SQL of a value that no row has; None where it is computed from the row."""
    return None if spec.reads_row else spec.expression


def all_but_one(spec: ColumnSpec, value: str, new: str | None, *, again: str) -> tuple[Step, ...]:
    """Return the steps that show the rows, and those that give all but one of them a new value.

    `value` is the SQL by which rows are the same, `new` that of a new value, None where nothing is
    known to be new. Rows with a NULL are left.
    """
    same = (
        f"(SELECT ctid, row_number() OVER (PARTITION BY {value} ORDER BY ctid) AS number"  # noqa: S608
        f" FROM {spec.typed_table} WHERE {spec.typed_column} IS NOT NULL) AS same"
    )
    look = statement(
        f"SELECT {value}, count(*) FROM {spec.typed_table} WHERE {spec.typed_column} IS NOT NULL"  # noqa: S608
        " GROUP BY 1 HAVING count(*) > 1"
    )
    if new is None:
        return (look,)
    update = (
        f"UPDATE {spec.typed_table} SET {spec.typed_column} = {new}"  # noqa: S608
        f" WHERE ctid IN (SELECT ctid FROM {same} WHERE number > 1)"
    )
    return (
        look,
        statement(
            update,
            risk="changes values: all rows but one of each group get a new value",
            alternative=2,
        ),
        command(again, alternative=2),
    )
