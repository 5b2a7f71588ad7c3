"""SET STORAGE and SET COMPRESSION: which types may be stored otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.coercion import base_type, facts_of
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.step import Step
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
FOR_ALL = ("plain", "default")


def is_movable(schema: Schema, type_: str, table: Name) -> bool:
    """Return whether values of a type may be kept out of the row."""
    base = base_type(schema, type_)
    if element_type(base) is not None:
        return True
    if base in FIXED:
        return False
    facts = facts_of(schema, base)
    if facts is not None and facts.kind == "e":
        return False
    if base in ("text", "character varying", "character", "bytea", "json", "jsonb", "numeric"):
        return True
    raise UnknownError(f"how {base} is stored", table)


def require_storage(step: Step, node: Any, type_: str) -> None:
    """Refuse the STORAGE of a new column's definition that its type cannot have."""
    wanted = node.storage_name.lower()
    if not wanted or wanted in FOR_ALL:
        return
    if wanted not in STORAGES:
        step.refuse("22023", "unknown-storage", name=wanted)
    if not is_movable(step.schema, type_, Name("", "")):
        step.refuse("0A000", "fixed-length", column=node.colname)


def _prepare_storage(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpmf")
    family = altering.family(table)
    wanted = (text(getattr(command, "def")) or "").lower()

    def act() -> None:
        for each in family:
            if wanted not in STORAGES:
                altering.refuse("22023", "unknown-storage", table, name=wanted)
            found = altering.column(each, as_stored(command.name))
            if not (wanted in FOR_ALL or is_movable(altering.step.schema, found.type, each)):
                altering.refuse("0A000", "fixed-length", each, column=found.name)

    altering.later(Pass.MISCELLANEOUS, act)


def _prepare_compression(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpm")
    wanted = (text(getattr(command, "def")) or "").lower()

    def act() -> None:
        for each in (table,):
            found = altering.column(each, as_stored(command.name))
            if wanted not in ("pglz", "lz4", "default"):
                altering.refuse("22023", "unknown-compression", each, name=wanted)
            if wanted == "lz4":
                raise UnknownError("whether the server has lz4", each)
            if wanted != "default" and not is_movable(altering.step.schema, found.type, each):
                altering.refuse("0A000", "fixed-length", each, column=found.name)

    altering.later(Pass.MISCELLANEOUS, act)


ACTIONS: Mapping[str, Action] = {
    "AT_SetStorage": Action(prepare=_prepare_storage),
    "AT_SetCompression": Action(prepare=_prepare_compression),
}
