"""Security headers, the flags of cookies, and TLS, as the live site gives them."""

import socket
import ssl
import time

from django.conf import settings as django_settings

from opsmigrate.counted import counted
from opsmigrate.uat.context import Context
from opsmigrate.uat.headers import cookie_faults, header_faults
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check
from opsmigrate.uat.site import OutOfReachError, Site, path_of
from opsmigrate.uat.timed import TIMEOUT_SECONDS

DAYS_LEFT = 14
SECONDS_A_DAY = 86_400


@check("security-headers", tags=("site", "security"), severity="major", needs=("site", "served"))
def security_headers(context: Context) -> str:
    """The site's first page has the headers that keep a browser from sniffing and framing it."""
    answer = context.http.get(_entrance(context))
    faults = header_faults(answer.headers, https=context.require_site().is_secure)
    if faults:
        told = "; ".join(f"{name}: {value}" for name, value in sorted(answer.headers.items()))
        raise Failed(f"{answer.url}: {'; '.join(faults)}", evidence=told)
    return f"{answer.url}: protected against sniffing, framing and leaking of addresses"


@check("cookie-flags", tags=("site", "security"), severity="major", needs=("site", "served"))
def cookie_flags(context: Context) -> str:
    """No script reads the session's cookie, and over TLS no cookie goes out in clear."""
    answer = context.http.get(_entrance(context))
    context.http.log_in()
    hidden = frozenset({str(django_settings.SESSION_COOKIE_NAME)})
    login = context.http.login
    given = [*answer.cookies, *(login.set_cookies if login else ())]
    faults = cookie_faults(tuple(given), https=context.require_site().is_secure, hidden=hidden)
    names = sorted({each.partition("=")[0] for each in given})
    if faults:
        raise Failed("; ".join(sorted(set(faults))))
    return f"{counted(len(names), 'cookie')} ({', '.join(names) or 'none'}), all with their flags"


@check("tls", tags=("site", "security"), severity="major", needs=("site", "served", "tls"))
def tls(context: Context) -> str:
    """The certificate is valid for a while yet, and the protocol TLS 1.2 or newer."""
    site = context.require_site()
    if not site.is_https:
        raise Failed(f"{site.base_url} is plain HTTP: passwords and cookies are sent unencrypted")
    version, cipher, expires = _handshake(site)
    days = (expires - time.time()) / SECONDS_A_DAY
    if days < DAYS_LEFT:
        raise Failed(f"the certificate of {site.host} expires in {days:.0f} days")
    return f"{version}, {cipher}, the certificate of {site.host} is valid for {days:.0f} days more"


def _handshake(site: Site) -> tuple[str, str, float]:
    verifying = ssl.create_default_context()
    verifying.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with (
            socket.create_connection((site.host, site.port), timeout=TIMEOUT_SECONDS) as raw,
            verifying.wrap_socket(raw, server_hostname=site.host) as secured,
        ):
            cipher, certificate = secured.cipher(), secured.getpeercert() or {}
            expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
            return str(secured.version()), cipher[0] if cipher else "?", expires
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        raise Failed(f"no TLS connection to {site.host} can be established: {reason}") from error
    except OSError as error:
        raise OutOfReachError(f"{site.base_url}: {error}") from error


def _entrance(context: Context) -> str:
    login = context.settings.uat.login
    if login:
        return path_of(login["url"])
    urls = context.settings.uat.urls
    return path_of(urls[0].url) if urls else "/"
