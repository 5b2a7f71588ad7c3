"""The schema of a tenant that a process works in: how it gets there, and into each session.

A fleet starts one process for each target. The process learns its schema from the environment
(VARIABLE), `opsmigrate.apps` writes it into the alias's settings (KEY), and each session that is
made from these settings, or from a copy of them, has the schema first in its search_path.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, unquote

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.steps import TAKING_AN_ALIAS

VARIABLE = "OPSMIGRATE_TARGET"
KEY = "OPSMIGRATE_SCHEMA"
SHARED = "public"
SEARCH_PATH = re.compile(r"-c\s*search_path=((?:\\.|\S)*)")

# A variable may stand before, as the shell takes it.
COMMAND = re.compile(
    rf"^(?=(?:\w+='[^']*' )?python manage\.py (?:{'|'.join(TAKING_AN_ALIAS)})\b)", re.MULTILINE
)


def variable_for(alias: str, schema: str | None) -> dict[str, str]:
    """Return the environment that tells a process its target: an alias, and a schema or none."""
    return {VARIABLE: quote(alias, safe="") + ("" if schema is None else f"/{schema}")}


def read_variable(environment: Mapping[str, str]) -> tuple[str, str | None] | None:
    """Return the alias and the schema (or None) of the target; None where there is no fleet.

    It is ALIAS or ALIAS/SCHEMA, with a percent sign for what would be a slash of the alias.
    """
    text = environment.get(VARIABLE)
    if not text:
        return None
    alias, _, schema = text.partition("/")
    return unquote(alias), schema or None


def in_schema(text: str, environment: Mapping[str, str]) -> str:
    """Return words whose commands go into the schema that the environment names, if it does."""
    _, schema = read_variable(environment) or (None, None)
    if schema is None:
        return text
    typed = _assigned(environment[VARIABLE])
    return COMMAND.sub(lambda _: typed, text)


def in_target(alias: str, schema: str | None) -> str:
    """Return what stands before a command that is typed for one target."""
    return "" if schema is None else _assigned(variable_for(alias, schema)[VARIABLE])


def _assigned(value: str) -> str:
    # Quoted, need it or not: so steps.py knows a variable that stands before a command.
    typed = shlex.quote(value) if "'" in value else f"'{value}'"
    return f"{VARIABLE}={typed} "


def put_on(settings: MutableMapping[str, Any], schema: str) -> None:
    """Write the schema into the settings of an alias."""
    settings[KEY] = schema


def schema_of(connection: BaseDatabaseWrapper) -> str | None:
    """Return the tenant's schema that a connection works in, None where it is of no tenant."""
    found = connection.settings_dict.get(KEY)
    return None if found is None else str(found)


def search_path_of(connection: BaseDatabaseWrapper) -> str | None:
    """Return the search_path of a tenant's connection, None where it is of no tenant."""
    schema = schema_of(connection)
    return None if schema is None else search_path_in(connection, schema)


def search_path_in(connection: BaseDatabaseWrapper, schema: str) -> str:
    """Return the search_path that a connection would have in a tenant's schema.

    The schema comes first; what OPTIONS of the alias say, or the shared schema, comes after it.
    """
    options = str((connection.settings_dict.get("OPTIONS") or {}).get("options") or "")
    given = SEARCH_PATH.findall(options)
    others = re.sub(r"\\(.)", r"\1", given[-1]) if given else SHARED
    return ", ".join([_identifier(schema), *_without(_identifier(schema), others)])


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _without(schema: str, path: str) -> Iterable[str]:
    parts = (part.strip() for part in path.split(","))
    return [part for part in parts if part and schema not in (part, f'"{part}"')]
