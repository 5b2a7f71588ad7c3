"""Settings that SQL written by hand may change without any effect on what comes after."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.statement import Statement

# Unit -> how many of the setting's own, and what the server takes of these (pg_settings.min_val,
# max_val; of maintenance_work_mem, before PostgreSQL 17).
OF_TIME = {"": 1, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
OF_MEMORY = {"": 1, "kB": 1, "MB": 1024, "GB": 1024**2}
MOST = 2**31 - 1
UNITS = {
    "lock_timeout": (OF_TIME, 0),
    "maintenance_work_mem": (OF_MEMORY, 1024),
    "work_mem": (OF_MEMORY, 64),
}


class Setting(NamedTuple):
    """A name and the value that it gets; None for the default."""

    name: str
    value: str | None


def settings_of(statement: Statement) -> tuple[Setting, ...] | None:
    """Return what SET, or calls of set_config(), set; None where that is not in the text."""
    if statement.kind == "variable_set_stmt":
        node = statement.node
        values = [_constant(each) for each in node.args]
        if len(values) > 1 or (values and values[0] is None):
            return None
        return (Setting(node.name.lower(), values[0] if values else None),)
    found = [_set(each) for each in _calls(statement)]
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else None


def _calls(statement: Statement) -> Iterator[Any]:
    for part in statement.parts():
        if part.kind == "FuncCall":
            name = as_stored(part.value.funcname[-1].string.sval)
            if name == "set_config":
                yield part.value


def _set(call: Any) -> Setting | None:
    values = [_constant(each) for each in call.args[:2]]
    if len(values) < 2 or values[0] is None or values[1] is None:
        return None
    return Setting(values[0].lower(), values[1])


def _constant(node: Any) -> str | None:
    kind = node.a_const.WhichOneof("val")
    if kind == "sval":
        return str(node.a_const.sval.sval)
    return str(node.a_const.ival.ival) if kind == "ival" else None


def is_harmless(setting: Setting) -> bool:
    """Return whether nothing else depends on it, and the server takes the value."""
    known = UNITS.get(setting.name)
    if known is None or setting.value is None:
        return known is not None
    units, least = known
    number = setting.value.rstrip("".join(units))
    unit = setting.value[len(number) :]
    if not number.strip().isdecimal() or unit not in units:
        return False
    return least <= int(number) * units[unit] <= MOST
