"""What is accepted."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import Settings
from opsmigrate.postgres.session import Session
from opsmigrate.uat.baseline.record import Baseline
from opsmigrate.uat.site import Site


@dataclass(frozen=True, kw_only=True)
class System:
    """A database with its settings, its site where one was given, and what was before it."""

    connection: BaseDatabaseWrapper
    session: Session
    settings: Settings
    site: Site | None
    baseline: Baseline | None = None
