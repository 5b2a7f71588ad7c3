"""The rights that a copy hides: on it everything belongs to the role that restored it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.preflight.ledger import Ledger

# What a grant can allow; anything else is for the owner.
GRANTED = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
RELATIONS = frozenset("rpvmfS")


def question_rights(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    statements: Iterable[Mapping[str, Any]],
    ledger: Ledger,
) -> None:
    """Leave open each rehearsed statement that names what another role owns and has not granted."""
    others = [item for item in catalog.relations if item.kind in RELATIONS and not item.owned]
    # A pattern that never matches, where everything is ours.
    names = re.compile("|".join(rf"\b{re.escape(item.name)}\b" for item in others) or r"(?!)")
    by_name = {item.name: item for item in others}
    for statement in statements:
        verb = next(iter(statement["sql"].split(maxsplit=1)), "").upper()
        if verb == "CREATE" and not catalog.may_create:
            ledger.migration, ledger.operation = statement["migration"], statement["operation"]
            ledger.leave_open(
                f"it worked on the copy; in schema {catalog.schema} CREATE is refused"
            )
        for name in set(names.findall(statement["sql"])):
            if not _granted(connection, by_name[name], verb):
                ledger.migration, ledger.operation = statement["migration"], statement["operation"]
                ledger.leave_open(
                    f"it worked on the copy, but {by_name[name].label} belongs to another role, "
                    f"and {verb} on it is not granted"
                )
    ledger.migration = ledger.operation = None


def _granted(connection: BaseDatabaseWrapper, relation: Relation, verb: str) -> bool:
    if verb not in GRANTED or relation.kind == "S":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s::oid, %s)", [relation.oid, verb])
        return bool(cursor.fetchone()[0])
