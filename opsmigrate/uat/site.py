"""The live site over HTTP, as a person who logs in sees it."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from http.client import HTTPException, HTTPResponse
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

from django.urls import reverse

from opsmigrate.errors import UsageError

TIMEOUT_SECONDS = 15
LONGEST_BODY = 5_000_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN = re.compile(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"')


class OutOfReachError(Exception):
    """The site did not answer at all."""


@dataclass(frozen=True)
class Answer:
    """What the site answered; `seconds` until the whole body was there."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: str
    seconds: float


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Site:
    """One visitor with a cookie jar; redirects are answers, not followed."""

    def __init__(self, base_url: str) -> None:
        parts = _parts(base_url)
        self.base_url = base_url.rstrip("/")
        self.is_plain_loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), _NoRedirects())

    def get(self, path: str) -> Answer:
        """Return the answer to a GET; raise OutOfReachError where there is none."""
        return self._ask(Request(self._url(path)))  # noqa: S310 - http or https, checked above

    def log_in(self, path: str, username: str, password: str) -> Answer:
        """Fill in the login form at `path`; return the answer to the POST (302 when let in)."""
        form = self.get(path)
        token = TOKEN.search(form.body)
        fields = {"username": username, "password": password}
        if token:
            fields["csrfmiddlewaretoken"] = unescape(token.group(1))
        url = self._url(path)
        # Django compares the Referer with the host on https.
        request = Request(url, urlencode(fields).encode(), {"Referer": url})  # noqa: S310
        return self._ask(request)

    def _url(self, path: str) -> str:
        return urljoin(f"{self.base_url}/", path.lstrip("/"))

    def _ask(self, request: Request) -> Answer:
        started = time.monotonic()
        try:
            response = self._opener.open(request, timeout=TIMEOUT_SECONDS)
        except HTTPError as error:
            response = error
        except (URLError, OSError, HTTPException) as error:
            raise _out_of_reach(request, error) from error
        try:
            with response:
                return _answer(request.full_url, response, started)
        except (OSError, HTTPException) as error:
            raise _out_of_reach(request, error) from error


def path_of(url: str) -> str:
    """Return the path for a URL's name (`treasury:alerts`) or a path (`/alerts/`)."""
    return url if url.startswith("/") else reverse(url)


def _parts(base_url: str) -> SplitResult:
    example = "--base-url https://staging.example.org"
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable:
        raise UsageError(
            f"{base_url!r} is not the address of a site", id="bad-base-url", hint=example
        )
    if parts.username is not None:
        # Not repeated: the address stands in the reports.
        raise UsageError(
            "the address of the site holds a user name, which the reports would show",
            id="bad-base-url",
            hint=example,
        )
    return parts


def _out_of_reach(request: Request, error: Exception) -> OutOfReachError:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return OutOfReachError(f"{request.full_url}: {reason}")


def _answer(url: str, response: HTTPResponse | HTTPError, started: float) -> Answer:
    body = response.read(LONGEST_BODY).decode(errors="replace")
    return Answer(
        url=url,
        status=int(response.status or 0),
        headers={name.lower(): value for name, value in response.headers.items()},
        body=body,
        seconds=time.monotonic() - started,
    )
