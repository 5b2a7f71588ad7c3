"""Acceptance of a migrated database and its site: register a check with `uat.check(id)`."""

from opsmigrate.uat.context import Context, Failed, NotRun
from opsmigrate.uat.registry import check

__all__ = ["Context", "Failed", "NotRun", "check"]
