"""The type of a piece of SQL, whichever driver it was composed with."""

from typing import Any, TypeAlias

# psycopg_any.sql is one of two modules, and django-stubs gives it no types: what sql.SQL,
# Identifier, Literal and Composed of either driver have in common cannot be named more exactly.
Composable: TypeAlias = Any
