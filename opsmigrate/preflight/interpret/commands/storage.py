"""SET STORAGE and SET COMPRESSION: which types may be stored otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.coercion import base_type, facts_of
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import text
from opsmigrate.sql.types import element_type

# pg_type.typstorage is "p" for these: they have a fixed length, or are never moved out.
FIXED = frozenset(
    [
        "smallint",
        "integer",
        "bigint",
        "real",
        "boolean",
        "date",
        "uuid",
        "oid",
        "name",
        "money",
        "interval",
        "macaddr",
        "macaddr8",
        "regclass",
        "xid",
        "cid",
        "tid",
        "point",
        "box",
        "lseg",
        "circle",
        "line",
        "pg_lsn",
        "timetz",
    ]
) | frozenset(
    {
        "double precision",
        "timestamp without time zone",
        "timestamp with time zone",
        "time without time zone",
        "time with time zone",
        '"char"',
    }
)
STORAGES = ("plain", "external", "extended", "main", "default")


def _is_movable(altering: Altering, type_: str, table: Name) -> bool:
    base = base_type(altering.step.schema, type_)
    if element_type(base) is not None:
        return True
    if base in FIXED:
        return False
    facts = facts_of(altering.step.schema, base)
    if facts is not None and facts.kind == "e":
        return False
    if base in ("text", "character varying", "character", "bytea", "json", "jsonb", "numeric"):
        return True
    raise UnknownError(f"how {base} is stored", table)


def _prepare_storage(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpmf")
    family = altering.family(table)
    wanted = (text(getattr(command, "def")) or "").lower()

    def act() -> None:
        for each in family:
            if wanted not in STORAGES:
                altering.refuse("22023", "unknown-storage", table, name=wanted)
            found = altering.column(each, as_stored(command.name))
            movable = wanted in ("plain", "default") or _is_movable(altering, found.type, each)
            if not movable:
                altering.refuse("0A000", "fixed-length", each, column=found.name)

    altering.later(Pass.MISCELLANEOUS, act)


def _prepare_compression(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpm")
    family = altering.family(table) if False else (table,)
    wanted = (text(getattr(command, "def")) or "").lower()

    def act() -> None:
        for each in family:
            found = altering.column(each, as_stored(command.name))
            if wanted not in ("pglz", "lz4", "default"):
                altering.refuse("22023", "unknown-compression", each, name=wanted)
            if wanted == "lz4":
                raise UnknownError("whether the server has lz4", each)
            if wanted != "default" and not _is_movable(altering, found.type, each):
                altering.refuse("0A000", "fixed-length", each, column=found.name)

    altering.later(Pass.MISCELLANEOUS, act)


ACTIONS: Mapping[str, Action] = {
    "AT_SetStorage": Action(prepare=_prepare_storage),
    "AT_SetCompression": Action(prepare=_prepare_compression),
}
