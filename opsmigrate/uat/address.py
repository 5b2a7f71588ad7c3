"""What may be the address of a site: nothing that a report must not show."""

import re
from urllib.parse import SplitResult

ADDRESS = re.compile(r"[!-~]+")
# A name, its labels in ASCII, or an address of IPv4 or IPv6. With % or \\ in it, it is none.
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


def wrong_with(base_url: str, parts: SplitResult) -> str | None:
    """Return what is wrong with the address, whose parts these are, without repeating it.

    Raises ValueError where its port is no number.
    """
    if "@" in base_url:
        return "contains a user name or another @, which the reports would show"
    if parts.scheme not in ("http", "https"):
        return "is not valid: it begins with neither http:// nor https://"
    host = parts.hostname or ""
    if parts.port == 0 or not HOST.fullmatch(host) or not ADDRESS.fullmatch(base_url):
        return "is not valid: its host or its port cannot be parsed"
    if "?" in base_url or "#" in base_url:
        return "continues after a ? or a #, which the reports would show"
    return None
