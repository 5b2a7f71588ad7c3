"""What the tests of run_uat have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opsmigrate import uat
from opsmigrate.uat.registry import Function, discover, registry
from tests.conftest import Answer, Ops, query


def accept(ops: Ops, alias: str, folder: Path, **options: Any) -> Answer:
    return ops("run_uat", database=alias, report_dir=str(folder), **options)


def check_of(answer: Answer, id: str) -> dict[str, Any]:
    """Return what the report says of one check."""
    [found] = [item for item in answer.report["facts"]["checks"] if item["id"] == id]
    outcome: dict[str, Any] = found
    return outcome


def checks_without(*absent: str, tag: str | None = None) -> set[str]:
    """Return the ids of the registered checks, with this tag, that need nothing of what is absent.

    `absent` are of NEEDS in opsmigrate/uat/registry.py.
    """
    discover()
    return {
        check.id
        for check in registry
        if not set(check.needs) & set(absent) and (tag is None or tag in check.tags)
    }


def only(ops: Ops, alias: str, folder: Path, function: Function, **settings: Any) -> Answer:
    """Register the function as the check `mine`, and run it alone."""
    uat.check("mine", **settings)(function)
    return accept(ops, alias, folder, check=["mine"])


def digests(alias: str) -> dict[str, str]:
    """Return the digest of all rows of every table and the state of every sequence."""
    tables = query(
        alias,
        "SELECT quote_ident(nspname) || '.' || quote_ident(relname), relkind FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind IN ('r', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    )
    rows = "string_agg(t::text, chr(10) ORDER BY t::text)"
    digest = f"SELECT md5(coalesce({rows}, '')) FROM (SELECT * FROM {{}}) t"
    return {name: query(alias, digest.format(name))[0][0] for name, _ in tables}
