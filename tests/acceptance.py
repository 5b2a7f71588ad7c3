"""What the tests of run_uat have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opsmigrate import uat
from opsmigrate.uat.registry import Function
from tests.conftest import Answer, Ops


def accept(ops: Ops, alias: str, folder: Path, **options: Any) -> Answer:
    return ops("run_uat", database=alias, report_dir=str(folder), **options)


def check_of(answer: Answer, id: str) -> dict[str, Any]:
    """Return what the report says of one check."""
    [found] = [item for item in answer.report["facts"]["checks"] if item["id"] == id]
    outcome: dict[str, Any] = found
    return outcome


def only(ops: Ops, alias: str, folder: Path, function: Function, **settings: Any) -> Answer:
    """Register the function as the check `mine`, and run it alone."""
    uat.check("mine", **settings)(function)
    return accept(ops, alias, folder, check=["mine"])
