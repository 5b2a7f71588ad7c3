"""The checks that every project has; importing them registers them, in the order of the report."""

from importlib import import_module

for _name in (
    "migrations",
    "schema",
    "seeded",
    "integrity",
    "before_after",
    "checks",
    "urls",
    "local_code",
    "security",
    "browser",
):
    import_module(f"{__name__}.{_name}")
