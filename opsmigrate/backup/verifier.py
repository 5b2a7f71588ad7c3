"""What a backup is proven with, passed on as one."""

from dataclasses import dataclass
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """A backup, its manifest, and what proves it: a server, clients that suit, who is told.

    `run_id` and `maintenance_db` are for the scratch database that it is restored into; by the
    archive alone, none is made.
    """

    connection: BaseDatabaseWrapper
    clients: Clients
    file: Path
    manifest: Manifest
    progress: Progress
    run_id: str = ""
    maintenance_db: str | None = None
