"""WITH (…) of a table: which options there are, and how pg_class.reloptions keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.step import Step

# Those whose values are numbers or booleans; of the others nothing is said here.
KNOWN = frozenset({"fillfactor", "autovacuum_enabled", "parallel_workers"})


def options_of(step: Step, options: Sequence[Any]) -> frozenset[str]:
    """Return the options as `name=value`."""
    found = set()
    for each in options:
        option = each.def_elem
        if option.defname not in KNOWN or option.defnamespace:
            raise UnknownError(f"the option {option.defname}")
        found.add(f"{option.defname}={_value(option)}")
    return frozenset(found)


def _value(option: Any) -> str:
    kind = option.arg.WhichOneof("node")
    if kind == "integer" and option.defname != "autovacuum_enabled":
        number = int(option.arg.integer.ival)
        if option.defname == "fillfactor" and not 10 <= number <= 100:
            raise UnknownError("an option out of range")
        return str(number)
    if kind == "string" and option.defname == "autovacuum_enabled":
        return str(option.arg.string.sval)
    raise UnknownError(f"the value of {option.defname}")
