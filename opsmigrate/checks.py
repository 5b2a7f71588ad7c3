"""System checks of the OPSMIGRATE settings, and of nothing else: they would block `migrate`."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error

from opsmigrate.conf import load_settings, seeded_field
from opsmigrate.errors import SettingsError
from opsmigrate.steps import as_lines


def check_settings(*, app_configs: object = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Return one Error where OPSMIGRATE cannot be used, naming the key and the remedy."""
    try:
        seed = load_settings().seed
        if seed is not None:
            seeded_field(seed)
    except SettingsError as error:
        next_, *more = as_lines(error.hint, error.steps)
        hint = "\n".join((next_.removeprefix("next: "), *more))
        return [Error(str(error), hint=hint, id="opsmigrate.E001")]
    return []
