"""Whether evaluating an expression runs code that is neither PostgreSQL's nor a library's.

Who wrote it does not matter where others have roles: a function of ours may call one of theirs.
"""

from __future__ import annotations

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.sql.expressions import functions_named_in, operators_named_in, types_named_in

# What BETWEEN, IN, CASE and comparisons of rows come to.
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
# Casts need not be written, and those to a domain, or a row with one, compute its checks.
QUERY = """
WITH written AS (
    SELECT p.oid, p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND l.lanname NOT IN ('c', 'internal'))
SELECT EXISTS (
    SELECT FROM written WHERE proname = ANY(%(functions)s::text[])
    UNION ALL
    SELECT FROM pg_operator o JOIN written p ON p.oid = o.oprcode
    WHERE o.oprname = ANY(%(operators)s::text[])
    UNION ALL
    SELECT FROM pg_cast c JOIN written p ON p.oid = c.castfunc
    UNION ALL
    SELECT FROM pg_type WHERE typtype IN ('c', 'd') AND typname = ANY(%(types)s::text[]))
"""
CODE_OF_OTHERS = """
SELECT EXISTS (
    SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('c', 'internal') AND pg_get_userbyid(p.proowner) = ANY(%(others)s)
    UNION ALL
    SELECT FROM pg_type WHERE typtype = 'd' AND pg_get_userbyid(typowner) = ANY(%(others)s))
"""
WHY = "it may call what another role has made, and here that would have a superuser's privileges"


def is_trusted(walk: SchemaWalk, live: Relation | None) -> bool:
    """Return whether the checks that a live table has may be evaluated with our rights."""
    if live is None:
        return True
    conditions = (each.condition for each in live.constraints if each.condition)
    owned = live.owner not in walk.catalog.distrusted
    return owned and not any(calls_others(walk, each) for each in conditions)


def calls_others(walk: SchemaWalk, expression: str) -> bool:
    """Return whether an expression may call what a role has made that must not have our rights."""
    others = sorted(walk.catalog.distrusted)
    if walk.answers.others_have_code is None:
        asked = {"others": others}
        walk.answers.others_have_code = bool(others) and bool(
            seen_by_project(walk.connection, CODE_OF_OTHERS, asked)[0][0]
        )
    return walk.answers.others_have_code and runs_code(walk, expression)


def runs_code(walk: SchemaWalk, expression: str) -> bool:
    """Return whether an expression may call anything but PostgreSQL's own and a library's."""
    functions, operators = functions_named_in(expression), operators_named_in(expression)
    types = types_named_in(expression)
    if functions is None or operators is None or types is None:
        return True
    asked = {
        "functions": list(functions),
        "operators": [*operators, *COMPARISONS],
        "types": list(types),
    }
    [[found]] = seen_by_project(walk.connection, QUERY, asked)
    return bool(found)
