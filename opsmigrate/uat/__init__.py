"""Acceptance of a migrated database and its site: register a check with `uat.check(id)`."""

from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed, NotRun
from opsmigrate.uat.registry import check, expect

__all__ = ["Context", "Failed", "NotRun", "check", "expect"]
