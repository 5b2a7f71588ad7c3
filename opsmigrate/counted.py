"""How a number stands with what it counts: 1 row, 2 rows, 1,200 rows."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return the number with what it counts; `many`, for a number other than 1, is `one` with s.

    What follows may belong to it: counted(nulls, "row holds NULL", "rows hold NULL").
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
