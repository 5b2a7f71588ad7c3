"""Column types that the plan needs: does the server know them, may the role use them?"""

from django.db import Error

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.privileges import BY_OTHERS
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.steps import statement


def require_types(walk: SchemaWalk) -> None:
    """Report column types that the server does not know or the role may not use, in one query."""
    needed = walk.types_needed
    if not needed:
        return
    query = (
        "SELECT t, to_regtype(t) IS NULL FROM unnest(%s::text[]) AS t"
        " WHERE coalesce(NOT has_type_privilege(to_regtype(t), 'USAGE'), true)"
    )
    try:
        missing = seen_by_project(walk.connection, query, [list(needed)])
    except Error as error:
        walk.ledger.mark_undecided(f"whether the column types exist: {first_line(error)}")
        return
    for name, unknown in missing:
        with walk.ledger.at(*needed[name]):
            _require_type(name, walk, unknown=unknown)


def _require_type(name: str, walk: SchemaWalk, *, unknown: bool) -> None:
    ledger = walk.ledger
    if not unknown:
        ledger.find(
            "missing-privilege",
            f"the role may not use the type {name}",
            hint=BY_OTHERS,
            steps=(statement(f"GRANT USAGE ON TYPE {name} TO {quoted(walk.role)}"),),
        )
    elif walk.schema.extensions - walk.catalog.extensions:
        ledger.mark_undecided(f"whether an extension provides the type {name}")
    elif ledger.wrote(name):
        ledger.mark_undecided(f"whether hand-written SQL creates the type {name}")
    else:
        ledger.find(
            "missing-type",
            f"the server does not know the type {name}",
            hint="install and create the extension that provides it",
        )
