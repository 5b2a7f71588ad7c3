"""The actions of ALTER TABLE: lock mode, rewrite, scan."""

import re
from collections.abc import Callable, Iterator

from opsmigrate.postgres.lock_modes import (
    ACCESS_EXCLUSIVE,
    ROW_SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from opsmigrate.preflight.forecast.sql_text import NAME, QUALIFIED, items, parts
from opsmigrate.preflight.forecast.statement_effects import Effects, SchemaView
from opsmigrate.preflight.forecast.tables import (
    ForecastForeignKey,
    ForecastTable,
    add_key,
    drop_key,
)
from opsmigrate.schema.types import base, modifiers

COLUMN = rf"(?P<column>{NAME})"
FUNCTION = re.compile(r"([a-z_]\w*)\s*\(", re.IGNORECASE)
SERIAL = re.compile(r"(?:small|big)?serial\b", re.IGNORECASE)
IS_NOT_NULL = re.compile(rf"^(?:CHECK )?\(*({NAME}) IS NOT NULL\)*( NOT VALID)?$", re.IGNORECASE)
UNTIL = r"(?: COLLATE (?P<collation>\S+))?(?: USING (?P<using>.+))?$"


def alter_table(
    table: ForecastTable, name: tuple[str, ...], rest: str, around: SchemaView, effects: Effects
) -> None:
    """Record what `ALTER TABLE table rest` does."""
    for action in items(rest):
        for pattern, handler in ACTIONS:
            match = pattern.match(action)
            if match:
                handler(match, table, around, effects)
                break
        else:
            effects.lock(table, ACCESS_EXCLUSIVE)
    renamed = re.match(rf"RENAME TO ({QUALIFIED})$", rest, re.I)
    if renamed:
        around.tables.rename(name, parts(renamed[1])[-1])


def _one(name: str) -> str:
    return (parts(name) or ("",))[-1]


def _column_list(text: str) -> tuple[str, ...]:
    return tuple(_one(item) for item in items(text) if parts(item))


def _add_column(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    column, definition = _one(match["column"]), match["definition"]
    effects.lock(table, ACCESS_EXCLUSIVE)
    table.types[column] = re.split(r" (?:NOT )?NULL\b| DEFAULT| CONSTRAINT", definition)[0]
    default = re.search(r"\bDEFAULT (.+?)(?: (?:NOT )?NULL\b| CONSTRAINT|$)", definition, re.I)
    if (
        SERIAL.match(definition)
        or _generated(definition)
        or (default and _volatile(default[1], around))
    ):
        effects.rewrite(table)
    elif re.search(r"\bCHECK\b", definition, re.I) or (
        re.search(r"\bNOT NULL\b", definition, re.I) and not default
    ):
        effects.scan(table)
    if re.search(r"\b(?:UNIQUE|PRIMARY KEY)\b", definition, re.I):
        effects.build(table)
        table.indexes[f"{column} key"] = (column,)
    target = re.search(rf"(?:CONSTRAINT ({NAME}) )?REFERENCES ({QUALIFIED})", definition, re.I)
    if target:
        _reference(table, (column,), target[1], target[2], around, effects)
        if default:
            effects.scan(table)


def _generated(definition: str) -> bool:
    """Return whether every row gets a value of its own: STORED, or from an identity's sequence."""
    return bool(re.search(r"\bGENERATED\b.+\b(?:STORED|IDENTITY)\b", definition, re.I))


def _volatile(expression: str, around: SchemaView) -> bool:
    names = {name.lower() for name in FUNCTION.findall(expression)}
    return bool(names & around.server.volatile)


def _reference(
    table: ForecastTable,
    columns: tuple[str, ...],
    name: str | None,
    to_table: str,
    around: SchemaView,
    effects: Effects,
) -> None:
    """A new foreign key keeps writes from both tables, for its triggers."""
    target = around.tables.find(parts(to_table))
    effects.lock(table, SHARE_ROW_EXCLUSIVE)
    if target is not None:
        effects.lock(target, SHARE_ROW_EXCLUSIVE)
        add_key(ForecastForeignKey(_one(name) if name else "", table, columns, target))


def _add_foreign_key(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    columns = _column_list(match["columns"])
    _reference(table, columns, match["name"], match["target"], around, effects)
    target = around.tables.find(parts(match["target"]))
    # Where the table is a new one, there is nothing to look for in the other.
    if table.live and not re.search(r"\bNOT (?:VALID|ENFORCED)\b", match["rest"], re.I):
        effects.scan(table)
        if target is not None:
            effects.scan(target)


def _add_check(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    effects.lock(table, ACCESS_EXCLUSIVE)
    waits = re.search(r"\bNOT (?:VALID|ENFORCED)$", match["check"], re.I)
    if not waits:
        effects.scan(table)
    columns = tuple(column for column in table.types if column in match["check"])
    condition = match["check"].removesuffix(" NOT VALID")
    table.checks[_one(match["name"] or '""')] = (
        columns,
        f"{condition}{' NOT VALID' * bool(waits)}",
    )


def _add_index(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    """UNIQUE, PRIMARY KEY and EXCLUDE build an index, unless one is given."""
    effects.lock(table, ACCESS_EXCLUSIVE)
    if not re.search(r"\bUSING INDEX\b(?! TABLESPACE)", match["rest"], re.I):
        effects.build(table)
        columns = re.search(r"\((.*?)\)", match["rest"])
        name = _one(match["name"]) if match["name"] else ""
        table.indexes[name] = _column_list(columns[1]) if columns else ()


def _validate(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    name = _one(match["name"])
    effects.lock(table, SHARE_UPDATE_EXCLUSIVE)
    effects.scan(table)
    if name in table.keys:
        effects.lock(table.keys[name].target, ROW_SHARE)
        effects.scan(table.keys[name].target)
    if name in table.checks:
        columns, condition = table.checks[name]
        table.checks[name] = (columns, condition.removesuffix(" NOT VALID"))


def _drop_constraint(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    """The triggers of a foreign key go from both tables."""
    name = _one(match["name"])
    effects.lock(table, ACCESS_EXCLUSIVE)
    table.checks.pop(name, None)
    columns = table.indexes.pop(name, None)
    gone = [table.keys[name]] if name in table.keys else []
    if columns and "CASCADE" in match["rest"].upper():
        gone += [key for key in table.pointing.values() if set(key.to_columns) == set(columns)]
    for key in gone:
        effects.lock(key.table, ACCESS_EXCLUSIVE)
        effects.lock(key.target, ACCESS_EXCLUSIVE)
        drop_key(key)


def _drop_column(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    column = _one(match["column"])
    effects.lock(table, ACCESS_EXCLUSIVE)
    for key in _keys_on(table, column):
        effects.lock(key.table, ACCESS_EXCLUSIVE)
        effects.lock(key.target, ACCESS_EXCLUSIVE)
        drop_key(key)
    table.types.pop(column, None)
    table.indexes = {name: each for name, each in table.indexes.items() if column not in each}


def _keys_on(table: ForecastTable, column: str) -> Iterator[ForecastForeignKey]:
    """Yield the foreign keys of the column and those that point to it."""
    yield from [key for key in table.keys.values() if column in key.columns]
    yield from [key for key in table.pointing.values() if column in key.to_columns]


def _alter_type(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    column, new = _one(match["column"]), match["type"]
    effects.lock(table, ACCESS_EXCLUSIVE)
    for key in _keys_on(table, column):
        effects.lock(key.table, ACCESS_EXCLUSIVE)
        effects.lock(key.target, ACCESS_EXCLUSIVE)
    using = match["using"]
    own = using is None or bool(re.match(rf"{re.escape(match['column'])}(?:::.+)?$", using))
    if not own or rewrites(table.types.get(column, ""), new, around.server.free_casts):
        effects.rewrite(table)
    else:
        if any(column in columns for columns, _ in table.checks.values()):
            effects.scan(table)
        if match["collation"]:
            for _ in [each for each in table.indexes.values() if column in each]:
                effects.build(table)
    table.types[column] = new


def rewrites(old: str, new: str, free_casts: frozenset[tuple[str, str]]) -> bool:
    """Return whether ALTER TYPE writes every row anew: not where the bytes stay as they are.

    A longer varchar, a numeric with more digits before the point, and the casts that pg_cast calls
    binary-coercible keep them (documentation of ALTER TABLE, Notes).
    """
    before_type, after_type = base(old), base(new)
    before, after = modifiers(old), modifiers(new)
    if after_type == "character":
        return before_type != after_type or (before or (1,)) != (after or (1,))
    if before_type != after_type:
        return (before_type, after_type) not in free_casts or bool(after)
    if not after or before == after:
        return False
    if after_type == "numeric":
        scale = [(*each, 0)[1:2] for each in (before, after)]
        return not before or scale[0] != scale[1] or before[0] > after[0]
    return not before or before[0] > after[0]


def _set_not_null(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    """A valid check that says the same saves reading the rows."""
    column = _one(match["column"])
    effects.lock(table, ACCESS_EXCLUSIVE)
    proven = any(
        (said := IS_NOT_NULL.match(condition)) and not said[2] and _one(said[1]) == column
        for _, condition in table.checks.values()
    )
    if column not in table.not_null and not proven:
        effects.scan(table)
    table.not_null.add(column)


def _drop_not_null(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    effects.lock(table, ACCESS_EXCLUSIVE)
    table.not_null.discard(_one(match["column"]))


def _rename_column(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    effects.lock(table, ACCESS_EXCLUSIVE)
    old, new = _one(match["column"]), _one(match["new"])
    table.types = {new if name == old else name: kind for name, kind in table.types.items()}
    table.not_null = {new if name == old else name for name in table.not_null}
    for name, columns in table.indexes.items():
        table.indexes[name] = tuple(new if column == old else column for column in columns)


def _weak(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    effects.lock(table, SHARE_UPDATE_EXCLUSIVE)


def _triggers(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    effects.lock(table, SHARE_ROW_EXCLUSIVE)


def _rewrite(
    match: "re.Match[str]", table: ForecastTable, around: SchemaView, effects: Effects
) -> None:
    effects.lock(table, ACCESS_EXCLUSIVE)
    effects.rewrite(table)


CONSTRAINT = rf"ADD (?:CONSTRAINT (?P<name>{NAME}) )?"
ALTER = rf"ALTER (?:COLUMN )?{COLUMN} "
Handler = Callable[["re.Match[str]", ForecastTable, SchemaView, Effects], None]
ACTIONS: tuple[tuple["re.Pattern[str]", Handler], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), handler)
    for pattern, handler in (
        (
            rf"{CONSTRAINT}FOREIGN KEY ?\((?P<columns>[^)]*)\) REFERENCES (?P<target>{QUALIFIED})"
            r"(?P<rest>.*)",
            _add_foreign_key,
        ),
        (rf"{CONSTRAINT}(?P<check>CHECK ?\(.*)", _add_check),
        (rf"{CONSTRAINT}(?P<rest>(?:UNIQUE|PRIMARY KEY|EXCLUDE)\b.*)", _add_index),
        (rf"ADD (?:COLUMN )?(?:IF NOT EXISTS )?{COLUMN} (?P<definition>.*)", _add_column),
        (rf"VALIDATE CONSTRAINT (?P<name>{NAME})", _validate),
        (rf"DROP CONSTRAINT (?:IF EXISTS )?(?P<name>{NAME})(?P<rest>.*)", _drop_constraint),
        (rf"DROP (?:COLUMN )?(?:IF EXISTS )?{COLUMN}", _drop_column),
        (rf"{ALTER}(?:SET DATA )?TYPE (?P<type>.+?){UNTIL}", _alter_type),
        (rf"{ALTER}SET NOT NULL", _set_not_null),
        (rf"{ALTER}DROP NOT NULL", _drop_not_null),
        (rf"{ALTER}(?:SET STATISTICS\b|(?:RE)?SET ?\()", _weak),
        (rf"{ALTER}SET EXPRESSION", _rewrite),
        (rf"RENAME (?:COLUMN )?(?!TO\b|CONSTRAINT\b){COLUMN} TO (?P<new>{NAME})", _rename_column),
        (r"SET (?:TABLESPACE|LOGGED|UNLOGGED|ACCESS METHOD)\b", _rewrite),
        (r"(?:CLUSTER ON|SET WITHOUT CLUSTER|SET ?\(|RESET ?\(|ATTACH PARTITION)", _weak),
        (r"(?:ENABLE|DISABLE) (?:REPLICA |ALWAYS )?TRIGGER", _triggers),
    )
)
