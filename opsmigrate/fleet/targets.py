"""The targets of a fleet: databases, and schemas of them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Target:
    """One database, or one schema of it; `schema` is None for the alias as it is.

    `label` is unique in the fleet; `server` is `host:port`.
    """

    alias: str
    schema: str | None
    label: str
    server: str
