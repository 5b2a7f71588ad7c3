"""How long a session of opsmigrate waits for a network or a server that says nothing."""

import os
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

# What libpq is told where the project says nothing (PostgreSQL documentation, libpq, Parameter Key
# Words): seconds, but for tcp_user_timeout, in milliseconds, and keepalives_count. A peer that is
# gone is given up after a minute: one that is busy answers keepalives all the same, as its kernel
# does it. Without these, Linux waits two hours (net.ipv4.tcp_keepalive_time).
LIMITS: Mapping[str, int] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
VARIABLES = {"connect_timeout": "PGCONNECT_TIMEOUT"}


def with_network_timeouts(
    params: Mapping[str, Any], limits: Mapping[str, int] = LIMITS
) -> dict[str, Any]:
    """Return libpq's parameters with `limits` added, where the project does not set them.

    It can set them in the alias's OPTIONS, in the environment and in a service file.
    """
    service = params.get("service") or os.environ.get("PGSERVICE")
    section = service_section(service, os.environ) if service else {}
    added = {
        name: value
        for name, value in limits.items()
        if name not in section and not os.environ.get(VARIABLES.get(name, ""))
    }
    return {**added, **params}


def service_section(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what the user's service file says of a service (documentation of libpq, 32.17)."""
    places = (
        variables.get("PGSERVICEFILE"),
        Path("~/.pg_service.conf").expanduser(),
        Path(variables.get("PGSYSCONFDIR", "/etc"), "pg_service.conf"),
    )
    for place in places:
        parser = RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        if place and parser.read(place, encoding="utf-8") and parser.has_section(name):
            return dict(parser.items(name))
    return {}
