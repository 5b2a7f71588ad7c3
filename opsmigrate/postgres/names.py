"""The names that PostgreSQL makes up for what is created without one."""

import re
from collections.abc import Container
from itertools import chain, count

# The longest identifier in bytes: NAMEDATALEN - 1.
LONGEST_NAME = 63
IN_QUOTES = re.compile(r'"([^"]+)"')


def generated_name(table: str, column: str, label: str) -> str:
    """Return `table_column_label`, shortened as PostgreSQL's makeObjectName() shortens it.

    Without a column, as for a primary key, it is `table_label`.
    """
    parts = [table.encode(), column.encode()]
    room = LONGEST_NAME - len(label.encode()) - (2 if column else 1)
    while len(parts[0]) + len(parts[1]) > room:
        longer = 0 if len(parts[0]) > len(parts[1]) else 1
        parts[longer] = parts[longer][:-1]
    # Bytes of a character that was cut in two are dropped, as pg_mbcliplen() does.
    first, second = (part.decode(errors="ignore") for part in parts)
    return "_".join(part for part in (first, second, label) if part)


def as_stored(name: str) -> str:
    """Return the name as PostgreSQL keeps it: cut off after 63 bytes (Lexical Structure)."""
    if len(name) * 4 <= LONGEST_NAME:
        return name
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def stored_in(statement: str) -> str:
    """Return SQL with the names in quotes as PostgreSQL keeps them."""
    return IN_QUOTES.sub(lambda match: f'"{as_stored(match[1])}"', statement)


def former_name(name: str, taken: Container[str], *, ending: str = "_before") -> str:
    """Return a name for what is set aside under this one, and that is not `taken`: `x_before`."""
    endings = chain([ending], (f"{ending}_{number}" for number in count(2)))
    kept = name.encode()
    return next(
        later
        for end in endings
        if (later := kept[: LONGEST_NAME - len(end)].decode(errors="ignore") + end) not in taken
    )


def quoted(*names: str) -> str:
    """Return the names as SQL, each in quotes, with dots between them."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def is_qualified(name: str) -> bool:
    """Return whether SQL reads a text in quotes as a name, with its schema or without."""
    inside = name[1:-1]
    if len(name) < 3 or not name[0] == name[-1] == '"':
        return False
    one, two = [inside], inside.split('"."')
    return any(all(p and '"' not in p.replace('""', "") for p in parts) for parts in (one, two))


def unquoted(name: str) -> str:
    """Return one name of SQL as it means it: without its quotes, or folded to lower case."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def literal(text: str) -> str:
    """Return a text as SQL, for servers with standard_conforming_strings, which is the default."""
    return "'" + text.replace("'", "''") + "'"


def split_table(db_table: str) -> tuple[str | None, str]:
    """Return (schema, name) of a Django db_table; schema is None where the search_path decides.

    Django leaves a name that is quoted already as it is, and so projects write `"a"."b"` or
    `a"."b` to reach another schema (django.db.backends.utils.split_identifier).
    """
    schema, dot, name = db_table.partition('"."')
    if not dot:
        return None, db_table.strip('"') if db_table.startswith('"') else db_table
    return schema.removeprefix('"'), name.removesuffix('"')
