"""System checks of the OPSMIGRATE settings, and of nothing else: they would block `migrate`."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error

from opsmigrate.conf import load_settings, seeded_field
from opsmigrate.errors import SettingsError


def check_settings(*, app_configs: object = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Return one Error where OPSMIGRATE cannot be used, naming the key and the remedy."""
    try:
        seed = load_settings().seed
        if seed is not None:
            seeded_field(seed)
    except SettingsError as error:
        return [Error(str(error), hint=error.hint, id="opsmigrate.E001")]
    return []
