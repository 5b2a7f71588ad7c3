"""Settings of the project that are other ones while its own code runs for us."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from opsmigrate.deprecations import without_deprecations
from opsmigrate.mail import mail_settings

NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"


@contextmanager
def overridden_settings(**values: Any) -> Iterator[None]:
    """Have these settings, and no mail go out, in the whole process for the length of a block."""
    override = override_settings(**mail_settings(NO_MAIL), **values)
    with without_deprecations():
        override.enable()
    try:
        yield
    finally:
        with without_deprecations():
            override.disable()
