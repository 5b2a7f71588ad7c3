"""The checks that every project has; importing them registers them."""

from opsmigrate.uat.builtin import checks, migrations, seeded, urls

__all__ = ["checks", "migrations", "seeded", "urls"]
