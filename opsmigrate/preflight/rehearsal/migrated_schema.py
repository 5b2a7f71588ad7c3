"""The schema of the copy, before and after `migrate` ran there."""

from __future__ import annotations

from dataclasses import dataclass

from opsmigrate.postgres.catalog import Catalog


@dataclass(frozen=True)
class MigratedSchema:
    """The catalogs of the copy: what is one table has one oid in both."""

    before: Catalog
    after: Catalog
