"""Settings that SQL written by hand may change without any effect on what comes after."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.statement import Statement

OF_TIME = ("", "us", "ms", "s", "min", "h", "d")
# In kB, a small number is below what the server takes.
OF_MEMORY = ("MB", "GB")
DIGITS_OF_KILOBYTES = range(5, 10)
UNITS = {"lock_timeout": OF_TIME, "maintenance_work_mem": OF_MEMORY, "work_mem": OF_MEMORY}
MOST_DIGITS = 5


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
    units = UNITS.get(setting.name)
    if units is None or setting.value is None:
        return units is not None
    number = setting.value.rstrip("".join({letter for unit in units for letter in unit}))
    unit = setting.value[len(number) :]
    whole = number.strip()
    if units is OF_MEMORY and not unit:
        return whole.isdecimal() and len(whole) in DIGITS_OF_KILOBYTES
    return whole.isdecimal() and len(whole) <= MOST_DIGITS and unit in units
