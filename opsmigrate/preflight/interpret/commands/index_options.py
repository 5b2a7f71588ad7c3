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
# parse_bool() takes their beginnings too, which nobody writes.
OF_TRUTHS = frozenset({"true", "false", "on", "off", "yes", "no", "1", "0"})
OF_BUFFERING = frozenset({"on", "off", "auto"})
INTEGER = re.compile(r"[+-]?\d+")


def require_option(step: Step, method: str, option: Any) -> None:
    """Refuse an option that the method has not, or a value out of range (22023)."""
    name = option.defname
    if name not in METHODS[method].options:
        step.refuse("22023", "unknown-option", name=name)
    value = _text(option)
    if name in BOUNDS and value is not None and INTEGER.fullmatch(value):
        low, high = BOUNDS[name]
        if not low <= int(value) <= high:
            step.refuse("22023", "option-out-of-range", name=name)
    # An option without a value is true.
    elif not (name in TRUTHS and (value or "true") in OF_TRUTHS) and not (
        name == "buffering" and value in OF_BUFFERING
    ):
        raise UnknownError(f"the value of {name}")


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
