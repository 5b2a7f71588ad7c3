"""Whether two expressions are one to the server, which is asked by letting it store both."""

from __future__ import annotations

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.names import quoted
from opsmigrate.sql.names import Name

DEFAULT = (
    "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'pg_temp.same'::regclass"
)
CONDITION = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'same'"


class Equivalence:
    """What the server says of expressions, remembered."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.known: dict[tuple[Name | None, str, str, str], bool] = {}

    def __call__(self, relation: Name | None, kind: str, one: str, other: str) -> bool:
        """Return whether the server stores the same of both.

        `kind` is "expression", of the columns of the relation, or "default of TYPE".
        """
        question = (relation, kind, one, other)
        if question not in self.known:
            first = self._stored(relation, kind, one)
            self.known[question] = first is not None and first == self._stored(
                relation, kind, other
            )
        return self.known[question]

    def _stored(self, relation: Name | None, kind: str, expression: str) -> str | None:
        statements, query = self._asking(relation, kind, expression)
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                for each in statements:
                    cursor.execute(each)
                cursor.execute(query)
                row = cursor.fetchone()
            except DatabaseError:
                return None
            finally:
                cursor.execute("ROLLBACK")
        return row[0] if row else None

    def _asking(
        self, relation: Name | None, kind: str, expression: str
    ) -> tuple[tuple[str, ...], str]:
        word, _, type_ = kind.partition(" of ")
        if word == "default":
            return (f"CREATE TEMP TABLE same (c {type_} DEFAULT {expression})",), DEFAULT
        if relation is None:
            return (), "SELECT NULL"
        table = f"CREATE TEMP TABLE same (LIKE {quoted(*relation)})"
        check = f"ALTER TABLE pg_temp.same ADD CONSTRAINT same CHECK (({expression}) IS NOT NULL)"
        return (table, check), CONDITION
