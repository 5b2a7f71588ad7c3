"""Why a site answered with another status, where that is well known."""

from urllib.parse import urlsplit

from opsmigrate.uat.site import Answer

BAD_REQUEST = 400


def why_status(answer: Answer) -> str | None:
    """Return what to do about the status of an answer that should have been another."""
    here, to = urlsplit(answer.url), answer.headers.get("location") or ""
    if here.scheme == "http" and to.startswith("https://"):
        return (
            "the site wants https (SECURE_SSL_REDIRECT, or a proxy): give its address with https, "
            "with --base-url"
        )
    if answer.status == BAD_REQUEST:
        return (
            "Django answers so to a host that ALLOWED_HOSTS does not name: let it have "
            f"{here.hostname}, or give the address that the site goes by, with --base-url"
        )
    return None
