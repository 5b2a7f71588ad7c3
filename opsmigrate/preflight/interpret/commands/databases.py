"""ALTER DATABASE: of the one that migrates, as the fence lets no other through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.step import Command, Step


def alter(step: Step, node: Any) -> None:
    """ALTER DATABASE, whatever it is called: in the real run it is not the copy."""
    step.effects.need("OWNER", "database", (as_stored(node.dbname),))


RIGHTS: Mapping[str, Command] = dict.fromkeys(
    ("alter_database_refresh_coll_stmt", "alter_database_set_stmt", "alter_database_stmt"), alter
)
