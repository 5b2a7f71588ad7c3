"""What may be the address of a site: nothing that a report must not show."""

import re
from urllib.parse import SplitResult

ADDRESS = re.compile(r"[!-~]+")


def wrong_with(base_url: str, parts: SplitResult) -> str | None:
    """Return what is wrong with the address, whose parts these are, without repeating it.

    Raises ValueError where its port is no number.
    """
    if "@" in base_url:
        return "holds a user name or another @, which the reports would show"
    if parts.scheme not in ("http", "https"):
        return "is none: it begins with neither http:// nor https://"
    if not parts.hostname or parts.port == 0 or not ADDRESS.fullmatch(base_url):
        return "is none: its host or its port cannot be read"
    if "?" in base_url or "#" in base_url:
        return "goes on after a ? or a #, which the reports would show"
    return None
