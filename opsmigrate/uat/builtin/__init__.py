"""The checks that every project has; importing them registers them."""

from opsmigrate.uat.builtin import (
    before_after,
    browser,
    checks,
    inside,
    integrity,
    migrations,
    security,
    seeded,
    urls,
)

__all__ = [
    "before_after",
    "browser",
    "checks",
    "inside",
    "integrity",
    "migrations",
    "security",
    "seeded",
    "urls",
]
