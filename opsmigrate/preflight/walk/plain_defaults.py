"""Defaults that are functions, and may be called to learn the value."""

from __future__ import annotations

from typing import Any

# Modules whose functions look at nothing but the clock.
HARMLESS = ("builtins", "uuid", "datetime", "decimal", "django.utils.timezone")


def may_be_called(default: Any) -> bool:
    """Return whether a call of the default does nothing but return a value.

    A project's own function may do anything, unless its source says that it returns a constant.
    """
    if getattr(default, "__module__", None) in HARMLESS:
        return True
    # Loaded only where somebody's own function is to be read.
    from opsmigrate.preflight.walk.idle_code import returns_a_constant

    return returns_a_constant(default)
