"""Where mail goes while the project's own code runs for us: to a backend of our choice."""

from typing import Any

from django.conf import settings


def mail_settings(backend: str) -> dict[str, Any]:
    """Return the settings that give every mail to `backend`, as this Django and project name them.

    From Django 6.1 on that is MAILERS where the project defines it; where it does not,
    EMAIL_BACKEND goes on working, and must stay: with MAILERS set, the other EMAIL_ settings
    cannot be read any more (django.conf.LazySettings.__getattr__).
    """
    if hasattr(settings, "MAILERS"):
        mailers: Any = getattr(settings, "MAILERS")  # noqa: B009 - the stubs do not know it
        return {"MAILERS": {name: {"BACKEND": backend} for name in mailers}}
    return {"EMAIL_BACKEND": backend}
