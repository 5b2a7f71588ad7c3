"""Whether evaluating an expression may run with our rights what another role has made."""

from __future__ import annotations

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.sql.expressions import functions_named_in, operators_named_in

# What BETWEEN, IN, CASE and comparisons of rows come to.
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
# Casts need not be written, and those to a domain compute its checks.
QUERY = """
SELECT EXISTS (
    SELECT FROM pg_proc
    WHERE proname = ANY(%(functions)s::text[]) AND pg_get_userbyid(proowner) = ANY(%(others)s)
    UNION ALL
    SELECT FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
    WHERE o.oprname = ANY(%(operators)s::text[])
        AND (pg_get_userbyid(o.oprowner) = ANY(%(others)s)
             OR pg_get_userbyid(p.proowner) = ANY(%(others)s))
    UNION ALL
    SELECT FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
    WHERE pg_get_userbyid(p.proowner) = ANY(%(others)s)
    UNION ALL
    SELECT FROM pg_type t
    WHERE t.typtype = 'd' AND strpos(%(text)s, t.typname::text) > 0
        AND pg_get_userbyid(t.typowner) = ANY(%(others)s))
"""
WHY = "it may call what another role has made, and here that would have a superuser's privileges"


def calls_others(walk: SchemaWalk, expression: str) -> bool:
    """Return whether an expression may call what a role has made that must not have our rights."""
    others = sorted(walk.catalog.distrusted)
    if not others:
        return False
    functions, operators = functions_named_in(expression), operators_named_in(expression)
    if functions is None or operators is None:
        return True
    asked = {
        "functions": list(functions),
        "operators": [*operators, *COMPARISONS],
        "others": others,
        "text": expression,
    }
    [[found]] = seen_by_project(walk.connection, QUERY, asked)
    return bool(found)
