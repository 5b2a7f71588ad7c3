"""What a value of the settings may be; each function raises SettingsError for another one."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsmigrate.errors import SettingsError
from opsmigrate.steps import Step, command

# As many as an HMAC with SHA-256 is worth something with (RFC 2104 asks for 32).
SHORTEST_KEY = 16
MAKE_KEY = command("python -c 'import secrets; print(secrets.token_urlsafe(32))'")


def secret_key(raw: Mapping[str, Any], name: str, variable: str) -> bytes | None:
    """Return a secret of the settings or of the variable, None where neither has one."""
    value = raw.get(name, os.environ.get(variable) or None)
    if value is None:
        return None
    hint = f"set the variable {variable} to what this prints"
    # Its value is never repeated.
    if not isinstance(value, str | bytes):
        raise setting_error(name, "is neither text nor bytes", hint, MAKE_KEY)
    key = value.encode() if isinstance(value, str) else value
    if len(key) < SHORTEST_KEY:
        raise setting_error(name, f"has fewer than {SHORTEST_KEY} bytes", hint, MAKE_KEY)
    return key


def setting_error(key: str, wrong: str, hint: str, *steps: Step) -> SettingsError:
    """Return the error of a key of OPSMIGRATE, with what to do and to type."""
    return SettingsError(f"OPSMIGRATE[{key!r}] {wrong}", id="bad-setting", hint=hint, steps=steps)


def require_mapping(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise SettingsError where the value is no dict, or has a key that is not known."""
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"{name} is not a dict", id="bad-setting", hint=f"set {name} = {{}} in the settings"
        )
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise SettingsError(
            f"{name} has the unknown key {unknown[0]!r}",
            id="bad-setting",
            hint=f"remove it; the known keys are {', '.join(known)}",
        )


def text(raw: Mapping[str, Any], key: str) -> str | None:
    """Return a text, or a path as text; None where it is not set."""
    value = raw.get(key)
    if value is None:
        return None
    if value == "":
        # Not as None: where a variable was lost, the default would be a silent surprise.
        raise setting_error(key, "is empty", f"set {key} to a text, or to None for its default")
    if not isinstance(value, str | Path):
        raise setting_error(key, f"is {value!r}, not text", f"set {key} to a text, or remove it")
    return str(value)


def positive(raw: Mapping[str, Any], key: str, default: float) -> float:
    """Return a number above 0."""
    value = raw.get(key, default)
    if not is_positive(value):
        raise setting_error(
            key, f"is {value!r}, not a number above 0", f"set it as in {key}: {default}"
        )
    return float(value)


def is_positive(value: Any) -> bool:
    """Return whether it is a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def one_of(raw: Mapping[str, Any], key: str, known: tuple[str, ...], default: str) -> str:
    """Return one of the known words."""
    value = raw.get(key, default)
    if value not in known:
        raise setting_error(key, f"is {value!r}", f"set it to one of {', '.join(known)}")
    return str(value)


def is_list(value: object) -> bool:
    """Return whether it is a list, as settings may write it."""
    return isinstance(value, list | tuple)
