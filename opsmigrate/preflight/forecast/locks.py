"""What one statement locks, rewrites and reads through: PostgreSQL's own rules.

The documentation of ALTER TABLE, of CREATE INDEX and of Explicit Locking; what they leave out (the
other table of a foreign key, what is read through) was measured, and tests measure it again.
"""

import re
from collections.abc import Callable

from opsmigrate.postgres.lock_modes import (
    ACCESS_EXCLUSIVE,
    MODES,
    ROW_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from opsmigrate.preflight.forecast.alter_table import alter_table
from opsmigrate.preflight.forecast.sql_text import QUALIFIED, items, parts, statements
from opsmigrate.preflight.forecast.statement_effects import Effects, SchemaView
from opsmigrate.preflight.forecast.tables import drop_key

Handler = Callable[["re.Match[str]", SchemaView, Effects], None]
NAME = rf"(?P<name>{QUALIFIED})"


def effects_of(sql: str, around: SchemaView) -> Effects:
    """Return what the text does, and change the tables as it would."""
    effects = Effects()
    found = statements(sql)
    effects.understood = bool(found)
    for statement in found:
        for pattern, handler in HANDLERS:
            match = pattern.match(statement)
            if match:
                handler(match, around, effects)
                break
        else:
            effects.understood = False
    return effects


def _create_index(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    table = around.tables.find(parts(match["table"]))
    if table is None:
        return
    concurrently = bool(match["concurrently"])
    effects.lock(table, SHARE_UPDATE_EXCLUSIVE if concurrently else SHARE)
    effects.build(table, concurrently=concurrently)
    keys = [parts(item) for item in items(match["columns"])]
    name = parts(match["name"] or "")
    table.indexes[name[-1] if name else ""] = tuple(key[0] if key else "" for key in keys)


def _drop_index(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    for each in items(match["names"]):
        table = around.tables.with_index(parts(each))
        if table is not None:
            effects.lock(
                table, SHARE_UPDATE_EXCLUSIVE if match["concurrently"] else ACCESS_EXCLUSIVE
            )
            table.indexes.pop(parts(each)[-1])


def _alter_index(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    """ALTER INDEX … RENAME locks the index alone, in SHARE UPDATE EXCLUSIVE mode."""
    table = around.tables.with_index(parts(match["name"]))
    renamed = re.search(rf"RENAME TO ({QUALIFIED})$", match["rest"], re.I)
    if table is not None and renamed:
        columns = table.indexes.pop(parts(match["name"])[-1])
        table.indexes[parts(renamed[1])[-1]] = columns


def _alter_table(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    table = around.tables.find(parts(match["name"]))
    if table is not None:
        alter_table(table, parts(match["name"]), match["rest"], around, effects)


def _create_table(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    around.tables.create(parts(match["name"]))
    for name in re.findall(rf"\bREFERENCES ({QUALIFIED})", match["rest"], re.I):
        target = around.tables.find(parts(name))
        if target is not None:
            effects.lock(target, SHARE_ROW_EXCLUSIVE)


def _drop_table(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    for each in items(match["names"]):
        table = around.tables.find(parts(each))
        if table is None:
            continue
        effects.lock(table, ACCESS_EXCLUSIVE)
        for key in [*table.keys.values(), *table.pointing.values()]:
            effects.lock(key.table, ACCESS_EXCLUSIVE)
            effects.lock(key.target, ACCESS_EXCLUSIVE)
            drop_key(key)
        around.tables.drop(parts(each))


def _comment(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    name = parts(match["name"])
    table = around.tables.find(name[:-1] if match["what"].upper() == "COLUMN" else name)
    if table is not None:
        effects.lock(table, SHARE_UPDATE_EXCLUSIVE)


def _write(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    table = around.tables.find(parts(match["name"]))
    if table is not None:
        effects.lock(table, ROW_EXCLUSIVE)
        if not match[0].upper().startswith("INSERT"):
            effects.scan(table)


def _reindex(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    table = around.tables.find(parts(match["name"]))
    if table is not None:
        effects.lock(table, SHARE)
        for _ in table.indexes:
            effects.build(table)


def _whole(mode: str, *, rewrites: bool = False) -> Handler:
    def handle(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
        for each in items(match["name"]):
            table = around.tables.find(parts(each))
            if table is not None:
                effects.lock(table, mode)
                if rewrites:
                    effects.rewrite(table)

    return handle


def _lock(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    mode = (match["mode"] or ACCESS_EXCLUSIVE).upper()
    if mode in MODES:
        _whole(mode)(match, around, effects)


def _nothing(match: "re.Match[str]", around: SchemaView, effects: Effects) -> None:
    """Lock no table that was there before."""


HANDLERS: tuple[tuple["re.Pattern[str]", Handler], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), handler)
    for pattern, handler in (
        (
            r"CREATE (?:UNIQUE )?INDEX (?P<concurrently>CONCURRENTLY )?(?:IF NOT EXISTS )?"
            rf"(?:(?!ON\b)(?P<name>{QUALIFIED}) )?ON (?:ONLY )?(?P<table>{QUALIFIED})"
            r"(?: ?USING \w+)? ?\((?P<columns>.*)",
            _create_index,
        ),
        (
            r"DROP INDEX (?P<concurrently>CONCURRENTLY )?(?:IF EXISTS )?"
            r"(?P<names>.+?)(?: CASCADE| RESTRICT)?$",
            _drop_index,
        ),
        (rf"ALTER INDEX (?:IF EXISTS )?{NAME} (?P<rest>.*)", _alter_index),
        (rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{NAME}(?: \*)? (?P<rest>.*)", _alter_table),
        (
            rf"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?{NAME} ?(?P<rest>.*)",
            _create_table,
        ),
        (
            r"DROP TABLE (?:IF EXISTS )?(?P<names>.+?)(?: CASCADE| RESTRICT)?$",
            _drop_table,
        ),
        (rf"COMMENT ON (?P<what>TABLE|COLUMN) {NAME} ", _comment),
        (rf"(?:UPDATE|DELETE FROM|INSERT INTO) (?:ONLY )?{NAME}", _write),
        (
            r"TRUNCATE (?:TABLE )?(?:ONLY )?(?P<name>[^;]+?)(?: RESTART.*| CONTINUE.*| CASCADE)?$",
            _whole(ACCESS_EXCLUSIVE),
        ),
        (
            rf"CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER .+? ON {NAME}",
            _whole(SHARE_ROW_EXCLUSIVE),
        ),
        (rf"DROP TRIGGER .+? ON {NAME}", _whole(ACCESS_EXCLUSIVE)),
        (rf"CLUSTER (?:VERBOSE )?{NAME}", _whole(ACCESS_EXCLUSIVE, rewrites=True)),
        (rf"VACUUM (?:FULL|\([^)]*FULL[^)]*\)) {NAME}", _whole(ACCESS_EXCLUSIVE, rewrites=True)),
        (rf"REINDEX (?:\([^)]*\) )?TABLE (?!CONCURRENTLY){NAME}", _reindex),
        (rf"(?:VACUUM|ANALYZE) {NAME}", _whole(SHARE_UPDATE_EXCLUSIVE)),
        (
            rf"LOCK (?:TABLE )?(?P<name>{QUALIFIED}(?:, ?{QUALIFIED})*)"
            r"(?: IN (?P<mode>[\w ]+?) MODE)?",
            _lock,
        ),
        (
            r"(?:SET|RESET|SELECT|WITH|CREATE|DROP|ALTER) ?(?:LOCAL |OR REPLACE |UNIQUE )?"
            r"(?:SEQUENCE|EXTENSION|COLLATION|SCHEMA|TYPE|DOMAIN|CONSTRAINTS|FUNCTION|ROLE|VIEW)\b",
            _nothing,
        ),
        (r"(?:SET|RESET) ", _nothing),
    )
)
