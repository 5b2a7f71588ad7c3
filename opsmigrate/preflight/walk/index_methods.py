"""Whether the method of an index can do what the index asks of it: several columns, INCLUDE."""

from __future__ import annotations

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.schema_walk import SchemaWalk

QUERY = """
SELECT pg_indexam_has_property(oid, 'can_multi_col'), pg_indexam_has_property(oid, 'can_include')
FROM pg_am WHERE amname = %s AND amtype = 'i'
"""


def require_method(
    walk: SchemaWalk, index: str, method: str, *, several: bool, include: bool
) -> None:
    """Report if the index has several columns, or included ones, and its method cannot (0A000)."""
    if method == "btree" or not (several or include):
        return
    # A method that is not there is missed where its operators are asked for.
    for can_several, can_include in seen_by_project(walk.connection, QUERY, [method]):
        for wanted, able, words in (
            (several, can_several, "several columns"),
            (include, can_include, "included columns"),
        ):
            if wanted and not able:
                walk.ledger.find(
                    "unsupported-by-server",
                    f"index {index} is by {method}, which cannot have {words}",
                    hint="use another kind of index, or one for each column",
                )
