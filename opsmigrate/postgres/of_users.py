"""What users made, in queries of the catalog."""

# The server keeps the names with pg_ for itself (documentation, CREATE SCHEMA).
CONDITION = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"


def of_users(query: str) -> str:
    """Return the query with `{of_users}` as the condition that the schema `n` is a user's."""
    return query.replace("{of_users}", CONDITION)
