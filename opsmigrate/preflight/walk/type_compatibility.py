"""Which types of columns go together: in a foreign key, in a cast that no value fails."""

from opsmigrate.schema.types import base, element, is_array, modifiers

# Types between which PostgreSQL finds an equality operator by itself (pg_amop, btree families).
FAMILIES = (
    frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    frozenset({"character varying", "character", "text", "name"}),
    frozenset({"date", "timestamp without time zone", "timestamp with time zone"}),
)
WIDENINGS = (("smallint", "integer", "bigint", "numeric"), ("character varying", "text"))


def comparable(left: str, right: str) -> bool:
    """Return whether a foreign key may join columns of these types."""
    left, right = base(left), base(right)
    return left == right or any(left in family and right in family for family in FAMILIES)


def always_casts(old: str, new: str) -> bool:
    """Return whether every value of `old` becomes a `new`, whatever the rows hold."""
    if is_array(old) and is_array(new):
        return always_casts(element(old), element(new))
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
