"""The relations of a catalog, found as Django's statements find them."""

from __future__ import annotations

from functools import cached_property

from opsmigrate.postgres.catalog import Catalog, Relation
from opsmigrate.postgres.names import as_stored, split_table
from opsmigrate.schema.history_table import HISTORY


class LiveTables:
    """The relations of a catalog, by the db_table that finds them."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._visible = {item.name: item for item in catalog.relations if item.visible}
        history = self.find(HISTORY)
        self.owner = history.owner if history else None

    @cached_property
    def _all(self) -> dict[tuple[str, str], Relation]:
        return {(item.schema, item.name): item for item in self.catalog.relations}

    def find(self, db_table: str) -> Relation | None:
        """Return the relation that Django's statements mean, None where there is none."""
        schema, name = split_table(db_table)
        if schema is None:
            return self._visible.get(as_stored(name))
        return self._all.get((as_stored(schema), as_stored(name)))

    def schema_and_name(self, db_table: str) -> tuple[str, str]:
        """Return where a table that is missing would be made."""
        schema, name = split_table(db_table)
        return schema or self.catalog.schema or "public", name

    def unused(self, schema: str, name: str) -> str:
        """Return the name, with a number where the schema has a relation of that name."""
        number, free = 0, name
        while (schema, free) in self._all:
            number += 1
            free = f"{name}{number}"
        return free
