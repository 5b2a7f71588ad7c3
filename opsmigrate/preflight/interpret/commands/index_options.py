"""WITH (…) of an index: which values the options of its method can have (reloptions.c)."""

from __future__ import annotations

import re
from typing import Any

from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.index_methods import METHODS
from opsmigrate.preflight.interpret.step import Step

BOUNDS = {
    "fillfactor": (10, 100),
    "gin_pending_list_limit": (64, 2**31 - 1),
    "pages_per_range": (1, 131072),
}
TRUTHS = frozenset({"deduplicate_items", "fastupdate", "autosummarize"})
# Beginnings will do (parse_bool), but not that of both "on" and "off".
OF_TRUTHS = ("true", "false", "on", "off", "yes", "no", "1", "0")
OF_BUFFERING = frozenset({"on", "off", "auto"})
INTEGER = re.compile(r"[+-]?[0-9]+")


def require_option(step: Step, method: str, option: Any) -> None:
    """Refuse an option that the method has not, or a value that it cannot have (22023)."""
    name = option.defname
    if name not in METHODS[method].options:
        step.refuse("22023", "unknown-option", name=name)
    # An option without a value is true.
    value = _text(option) or "true"
    if not (_is_within(name, value) if name in BOUNDS else _is_word(name, value)):
        step.refuse("22023", "option-out-of-range", name=name)


def _is_within(name: str, value: str) -> bool:
    low, high = BOUNDS[name]
    if INTEGER.fullmatch(value):
        return low <= int(value) <= high
    if any(map(str.isdigit, value)):
        # 90.5, 0x20 and others that are numbers, too.
        raise UnknownError(f"the value of {name}")
    return False


def _is_word(name: str, value: str) -> bool:
    if name not in TRUTHS:
        return value in OF_BUFFERING
    return value != "o" and any(word.startswith(value) for word in OF_TRUTHS)


def _text(option: Any) -> str | None:
    """Return the value of an option as defGetString() does, in lower case; None without one."""
    kind = option.arg.WhichOneof("node")
    if kind == "integer":
        return str(option.arg.integer.ival)
    if kind == "float":
        return str(option.arg.float.fval)
    if kind == "string":
        return str(option.arg.string.sval).lower()
    if kind == "type_name":
        return str(option.arg.type_name.names[-1].string.sval).lower()
    return None
