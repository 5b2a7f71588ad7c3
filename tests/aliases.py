"""Other aliases for a while: of another server, or of the same database as another role."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import environ
from django.db import connections


@contextmanager
def alias_of(name: str, **settings: Any) -> Iterator[str]:
    """Have another alias."""
    connections.settings[name] = settings
    try:
        yield name
    finally:
        connections[name].close()
        del connections[name], connections.settings[name]


@contextmanager
def guest(alias: str, user: dict[str, str]) -> Iterator[str]:
    """Yield an alias of the same database as another role."""
    with alias_of("guest", **{**connections[alias].settings_dict, **user}) as name:
        yield name


@contextmanager
def elsewhere(alias: str, url: str) -> Iterator[str]:
    """Yield an alias of the database of a URL, which has the other settings of `alias`."""
    place = environ.Env.db_url_config(url)
    with alias_of("elsewhere", **{**connections[alias].settings_dict, **place}) as name:
        yield name
