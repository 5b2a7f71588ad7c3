"""What a browser is told to guard against: security headers and the flags of cookies."""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

HSTS_SECONDS = 86_400 * 30
REFERRER_LEAKS = {"", "unsafe-url", "no-referrer-when-downgrade"}


def header_faults(headers: Mapping[str, str], *, https: bool) -> list[str]:
    """Return what is wrong with the headers (names in lower case) of a page."""
    faults = []
    if headers.get("x-content-type-options", "").lower() != "nosniff":
        faults.append("no X-Content-Type-Options: nosniff")
    framed = headers.get("x-frame-options", "").upper() in ("DENY", "SAMEORIGIN")
    if not framed and "frame-ancestors" not in headers.get("content-security-policy", ""):
        faults.append("no X-Frame-Options and no frame-ancestors: other sites may frame it")
    if headers.get("referrer-policy", "").lower() in REFERRER_LEAKS:
        faults.append("no Referrer-Policy that keeps addresses from other sites")
    if https and _max_age(headers.get("strict-transport-security", "")) < HSTS_SECONDS:
        faults.append("no Strict-Transport-Security of 30 days or more")
    return faults


def cookie_faults(cookies: tuple[str, ...], *, https: bool, hidden: frozenset[str]) -> list[str]:
    """Return what is wrong with the Set-Cookie headers; `hidden` are those that no script reads."""
    faults = []
    for header in cookies:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(header)
        except CookieError:
            faults.append("a cookie that cannot be read")
        for name, morsel in jar.items():
            missing = [
                flag
                for flag, wanted, there in (
                    ("Secure", https, morsel["secure"]),
                    ("HttpOnly", name in hidden, morsel["httponly"]),
                    ("SameSite", True, morsel["samesite"]),
                )
                if wanted and not there
            ]
            if missing:
                faults.append(f"cookie {name} without {', '.join(missing)}")
    return faults


def _max_age(header: str) -> int:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == "max-age" and value.strip('"').isdigit():
            return int(value.strip('"'))
    return 0
