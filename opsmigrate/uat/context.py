"""What an acceptance check works with, and how it says what it saw."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings
from opsmigrate.uat.site import Site


class Failed(Exception):
    """What the check saw is wrong: the message says what, the evidence what it was told by."""

    def __init__(self, message: str, *, evidence: str = "") -> None:
        super().__init__(message)
        self.evidence = evidence


class NotRun(Exception):
    """The check could not look; the message says why, the hint what to type."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, kw_only=True)
class Context:
    """A database connection that cannot write, the site where one was given, the settings."""

    connection: BaseDatabaseWrapper
    settings: Settings
    site: Site | None

    def require_site(self) -> Site:
        """Return the site, or raise NotRun."""
        if self.site is None:
            raise NotRun("no site was given", hint="python manage.py run_uat --base-url URL")
        return self.site
