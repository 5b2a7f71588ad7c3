"""The live site over HTTP, as a person who logs in sees it."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage, HTTPResponse
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

from django.urls import NoReverseMatch, reverse

from opsmigrate.errors import UsageError
from opsmigrate.uat.address import wrong_with
from opsmigrate.uat.login_form import TOKEN, login_form
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.served_site import Served
from opsmigrate.uat.timed import TIMEOUT_SECONDS, Plain, Secure
from opsmigrate.uat.visible_text import visible_text

LONGEST_BODY = 5_000_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What a proxy says while workers restart; anything else is the site's own answer.
GATEWAY_STATUSES = (502, 503, 504)
ATTEMPTS = 3
PAUSE_SECONDS = 0.5
OK = 200
LONG_ENOUGH = 8
SET_COOKIE = "set-cookie"
REDIRECTS = range(300, 400)


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
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a reader sees of it."""
        return visible_text(self.body) if self.is_html else self.body

    @property
    def is_html(self) -> bool:
        """Return whether it is a page."""
        return "html" in self.headers.get("content-type", "")


@dataclass(frozen=True)
class Site:
    """Where the live site is.

    `given` are the values of the cookies that it gave to any visitor, which no report may show.
    `served` is there where this very run serves it, and says what went wrong in it.
    """

    base_url: str
    scheme: str
    host: str
    port: int
    given: set[str] = field(default_factory=set, compare=False, repr=False)
    served: Served | None = field(default=None, compare=False, repr=False)

    @property
    def is_https(self) -> bool:
        """Return whether it is asked over TLS."""
        return self.scheme == "https"

    @property
    def is_secure(self) -> bool:
        """Return whether its code takes itself to be asked over TLS."""
        return self.is_https or (self.served is not None and self.served.secure)

    @property
    def is_plain_loopback(self) -> bool:
        """Return whether it is plain HTTP on this machine, where TLS is not to be had."""
        return not self.is_https and self.host in LOOPBACK

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return urljoin(f"{self.base_url}/", path.lstrip("/"))


def site_at(base_url: str) -> Site:
    """Return the site; raise UsageError where `base_url` is not the address of one.

    What was given is never repeated: a mistyped address may have a password anywhere in it.
    """
    try:
        parts = urlsplit(base_url)
        wrong = wrong_with(base_url, parts)
        port = parts.port
    except ValueError:
        wrong, port = "is not valid: its host or its port cannot be parsed", None
    if wrong:
        raise UsageError(
            f"the address of the site {wrong}",
            id="bad-base-url",
            hint="write it with its scheme, as in https://staging.example.org",
        )
    default = 443 if parts.scheme == "https" else 80
    return Site(base_url.rstrip("/"), parts.scheme, str(parts.hostname), port or default)


class _NoRedirects(HTTPRedirectHandler):
    # Not redirect_request(), before which the standard library has taken the address apart.
    def http_error_302(self, *args: Any, **kwargs: Any) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Visitor:
    """One visitor with a cookie jar; redirects are answers, not followed.

    `answers` has what was asked and answered, `retried` what answered only on another try.
    """

    def __init__(self, site: Site, *, login: "Login | None" = None) -> None:
        self.site = site
        self.answers: list[Answer] = []
        self.retried: list[str] = []
        self.login = login
        # What is for TLS only goes back to the site that this run serves as if over TLS.
        secure = ("https", "http") if site.is_secure else ("https",)
        self._jar = CookieJar(DefaultCookiePolicy(secure_protocols=secure))
        self._opener = build_opener(
            Plain(), Secure(), HTTPCookieProcessor(self._jar), _NoRedirects()
        )

    def get(self, path: str, *, expected: int = 200) -> Answer:
        """Return the answer to a GET; raise OutOfReachError where there is none.

        What is out of reach, or answered by a gateway in its place, is asked again.
        """
        url = self.site.url(path)
        said: list[str] = []
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._ask(Request(url))  # noqa: S310 - http or https, see site_at()
            except OutOfReachError as error:
                if attempt == ATTEMPTS:
                    raise
                said.append(str(error))
            else:
                gateway = answer.status in GATEWAY_STATUSES and answer.status != expected
                if not gateway or attempt == ATTEMPTS:
                    break
                said.append(f"{url}: {answer.status}")
            time.sleep(PAUSE_SECONDS * attempt)
        if said:
            self.retried.append(f"{'; '.join(said)}; then {answer.status}")
        return answer

    def log_in(self) -> None:
        """Come in with the login of the settings, if there is one; raise Failed if refused.

        The login is made once for all visitors of a run.
        """
        if self.login is not None:
            for cookie in self.login.cookies():
                self._jar.set_cookie(cookie)

    def submit_login(self, path: str, username: str, password: str) -> Answer:
        """Fill in the login form at `path`; return the answer to the POST (302 when let in).

        Raises Failed, and sends nothing, where the login page leads elsewhere; and over plain http
        to another machine, unless the page itself is there: what is posted goes out in clear.
        """
        page = self.get(path)
        _require_form(self.site, page)
        form = login_form(page.body)
        fields = {form.user: username, form.password: password}
        if form.token:
            fields[TOKEN] = form.token
        url = self.site.url(path)
        # Django compares the Referer with the host on https.
        request = Request(url, urlencode(fields).encode(), {"Referer": url})  # noqa: S310
        return self._ask(request)

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """What the site has given to keep."""
        return tuple(self._jar)

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
                answer = _answer(request.full_url, response, started)
        except (OSError, HTTPException) as error:
            raise _out_of_reach(request, error) from error
        self.site.given.update(map(_value_of, answer.cookies))
        self.answers.append(answer)
        return answer


class Login:
    """The login of the settings, made at most once in a run; a refusal is remembered too.

    `set_cookies` are the Set-Cookie headers of the welcome.
    """

    def __init__(self, site: Site, account: Mapping[str, str] | None) -> None:
        self.username = account["username"] if account else ""
        self.made = 0
        self._site = site
        self._account = account
        self._lock = threading.Lock()
        self._cookies: tuple[Cookie, ...] | None = None
        self.set_cookies: tuple[str, ...] = ()
        self._refused: Failed | None = None

    def cookies(self) -> tuple[Cookie, ...]:
        """Return what the site gives to those who are in; raise Failed where it refuses."""
        with self._lock:
            if self._refused is not None:
                raise self._refused
            if self._cookies is None:
                self._cookies = self._enter() if self.username else ()
            return self._cookies

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may read in a report: the cookies of the login, and all long ones besides.

        A short one, such as a language, is a word that reports have for other reasons.
        """
        held = (cookie.value for cookie in self._cookies or () if cookie.value)
        return (*held, *(value for value in self._site.given if len(value) >= LONG_ENOUGH))

    def _enter(self) -> tuple[Cookie, ...]:
        assert self._account is not None  # noqa: S101 - there is a user name
        visitor = Visitor(self._site)
        path = path_of(self._account["url"])
        try:
            answer = visitor.submit_login(path, self.username, self._account.get("password", ""))
        except Failed as failed:
            self._refused = failed
            raise
        if answer.status not in (302, 303) or _leads_to(answer) in (answer.url, "https"):
            self._refused = Failed(
                f"the login of {self.username} at {answer.url} was refused (status "
                f"{answer.status}, where success is a redirect to another page)",
                hint="check the user name and the password that the settings give to UAT; if "
                "they come from environment variables, check those",
            )
            raise self._refused
        self.made = 1
        self.set_cookies = answer.cookies
        return visitor.cookies


def _require_form(site: Site, form: Answer) -> None:
    if form.status in REDIRECTS:
        to = "https" if _leads_to(form) == "https" else "another page"
        raise Failed(
            f"the login page {form.url} leads to {to} (status {form.status}), so the login was "
            "not sent",
            hint="give the address with https with --base-url"
            if to == "https"
            else 'give the address of the page itself as the "url" of LOGIN',
        )
    if not site.is_https and not site.is_plain_loopback and form.status != OK:
        raise Failed(
            f"the login page {form.url} does not exist (status {form.status}), and plain http "
            "would send the password unencrypted, so the login was not sent",
            hint="give the address with https with --base-url",
        )


def _leads_to(answer: Answer) -> str:
    """Return `https` where a redirect leaves plain http for it, else the page that it leads to."""
    location = answer.headers.get("location", "")
    try:
        target = urlsplit(urljoin(answer.url, location))
    except ValueError:
        return location  # no address, but whatever it is, the page is not here
    if target.scheme == "https" and urlsplit(answer.url).scheme != "https":
        return "https"
    return target._replace(query="", fragment="").geturl()


def _value_of(cookie: str) -> str:
    return cookie.partition(";")[0].partition("=")[2].strip().strip('"')


def path_of(url: str) -> str:
    """Return the path for a URL's name (`treasury:alerts`) or a path (`/alerts/`).

    Raises Failed where this release has no URL of that name.
    """
    if url.startswith("/"):
        return url
    try:
        return reverse(url)
    except NoReverseMatch as error:
        raise Failed(f"this release has no URL of the name {url!r}") from error


def _out_of_reach(request: Request, error: Exception) -> OutOfReachError:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return OutOfReachError(f"{request.full_url}: {reason}")


def _answer(url: str, response: HTTPResponse | HTTPError, started: float) -> Answer:
    body = response.read(LONGEST_BODY).decode(errors="replace")
    headers: HTTPMessage | Any = response.headers
    return Answer(
        url=url,
        status=int(response.status or 0),
        # What it gives to keep is for the visitor's jar, and for no report.
        headers={
            name.lower(): value for name, value in headers.items() if name.lower() != SET_COOKIE
        },
        body=body,
        seconds=time.monotonic() - started,
        cookies=tuple(headers.get_all(SET_COOKIE) or ()),
    )
