"""Column types as Django and as PostgreSQL spell them, and which go together."""

import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

SPELLINGS = {
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "serial": "integer",
    "bigserial": "bigint",
    "smallserial": "smallint",
    "bool": "boolean",
    "decimal": "numeric",
    "float8": "double precision",
    "timestamptz": "timestamp with time zone",
}
# Types between which PostgreSQL finds an equality operator by itself (pg_amop, btree families).
FAMILIES = (
    frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    frozenset({"character varying", "character", "text", "name"}),
    frozenset({"date", "timestamp without time zone", "timestamp with time zone"}),
)
WIDENINGS = (("smallint", "integer", "bigint", "numeric"), ("character varying", "text"))


def column_of(field: "Field[Any, Any]") -> str:
    """Return the column of a field that has one."""
    assert field.column is not None  # noqa: S101 - callers pass concrete fields
    return field.column


def generated_sql(connection: BaseDatabaseWrapper, field: "Field[Any, Any]") -> str:
    """Return the expression of a generated field, its values written into it."""
    generated: Any = field
    text, params = generated.generated_sql(connection)
    editor: Any = connection.schema_editor()
    return str(text % tuple(editor.quote_value(value) for value in params) if params else text)


def base(type_: str) -> str:
    """Return the type without its modifiers: `varchar(20)` is `character varying`."""
    plain = re.sub(r"\s*\([^)]*\)", "", type_).strip().lower()
    return SPELLINGS.get(plain, plain)


def comparable(left: str, right: str) -> bool:
    """Say whether a foreign key may join columns of these types."""
    left, right = base(left), base(right)
    return left == right or any(left in family and right in family for family in FAMILIES)


def modifiers(type_: str) -> tuple[int, ...]:
    """Return what stands in brackets: (10, 2) of `numeric(10, 2)`."""
    match = re.search(r"\(([\d, ]+)\)", type_)
    return tuple(int(number) for number in match.group(1).split(",")) if match else ()


def always_casts(old: str, new: str) -> bool:
    """Say whether every value of `old` becomes a `new`, whatever the rows hold."""
    if base(old) == base(new) == "character varying":
        before, after = modifiers(old), modifiers(new)
        return not after or (bool(before) and before <= after)
    if base(old) == base(new):
        return modifiers(old) == modifiers(new) or base(new) not in ("numeric", "character")
    if modifiers(new):
        return False
    return base(new) in WIDENINGS[1] or any(
        base(old) in chain
        and base(new) in chain
        and chain.index(base(old)) < chain.index(base(new))
        for chain in WIDENINGS
    )
