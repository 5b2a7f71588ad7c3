"""What users made, in queries of the catalog."""

from collections.abc import Sequence

# The server keeps the names with pg_ for itself (documentation, CREATE SCHEMA).
CONDITION = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"


def of_users(query: str, only: Sequence[int] = ()) -> str:
    """Return the query with `{of_users}` as the condition that the schema `n` is a user's.

    Of these, `only` the ones with these oids, where there are any.
    """
    return query.replace("{of_users}", is_one_of(only) if only else CONDITION)


def is_one_of(schemas: Sequence[int]) -> str:
    """Return the condition that the schema `n` has one of these oids."""
    return f"n.oid = ANY ('{{{','.join(map(str, schemas))}}}'::oid[])"
