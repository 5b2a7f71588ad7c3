"""The key pages in a real browser: they come without errors, and here is what they look like."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsmigrate.steps import command
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed, NotRun
from opsmigrate.uat.registry import check
from opsmigrate.uat.site import OutOfReachError, path_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Response, Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# On a closed network Chromium would otherwise look for its updates.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = {"width": 1280, "height": 800}
PATIENCE_MS = 15_000
TALLEST = 2_400
QUALITY = 70
# How Chromium's words for a server that cannot be reached, or not be trusted, begin.
NO_ANSWER = "net::ERR_"
READING = ("GET", "HEAD", "OPTIONS")


@check("browser", tags=("site", "browser"), severity="major", timeout=180, needs=("site", "urls"))
def browser(context: Context) -> str:
    """Log in, open every key page, press nothing: no console errors and no failed requests."""
    with _chromium() as chromium:
        visit = _Visit(context, chromium)
        visit.log_in()
        for url in context.settings.uat.urls:
            visit.open(path_of(url.url), expected=url.status)
    if not visit.seen:
        raise NotRun("none of the key URLs is a page")
    if visit.faults:
        raise Failed("; ".join(visit.faults), evidence=f"pages opened: {', '.join(visit.seen)}")
    return f"{chromium_words(visit)}, no console errors, no failed requests"


class _Visit:
    """One person at one browser; what goes wrong on the way is noted."""

    def __init__(self, context: Context, browser: "Browser") -> None:
        self.seen: list[str] = []
        self.faults: list[str] = []
        self.version = browser.version
        self._context = context
        self._expected: dict[str, int] = {}
        self._reads_only = False
        self._page: Page = browser.new_page(viewport=SIZE, locale="en-GB")  # type: ignore[arg-type]
        self._page.set_default_timeout(PATIENCE_MS)
        self._page.route("**/*", self._pass_or_stop)
        self._page.on("console", lambda message: self._console(message.type, message.text))
        self._page.on("pageerror", lambda error: self._note(f"script error: {error}"))
        self._page.on("requestfailed", self._failed)
        self._page.on("response", self._answered)

    def log_in(self) -> None:
        """Fill in the form as a person would; nothing but reading is allowed from then on."""
        login = self._context.settings.uat.login
        if login and login.get("username"):
            url = self._context.require_site().url(path_of(login["url"]))
            self._go(url)
            self._page.fill("input[name=username]", login["username"])
            self._page.fill("input[name=password]", login["password"])
            self._page.press("input[name=password]", "Enter")
            self._page.wait_for_load_state("networkidle")
            if urlsplit(self._page.url).path == urlsplit(url).path:
                raise Failed(f"the login of {login['username']} was refused in the browser")
        self._reads_only = True

    def open(self, path: str, *, expected: int) -> None:
        """Open a page and keep a picture of it; what is no page (JSON) is passed over."""
        url = self._context.require_site().url(path)
        self._expected[url] = expected
        response = self._go(url)
        if response is None or "html" not in response.headers.get("content-type", ""):
            return
        self._page.wait_for_load_state("networkidle")
        if response.status != expected:
            self._note(f"answered {response.status}, not {expected}")
        self.seen.append(path)
        self._context.add_image(f"{path} · {self._page.title()}", self._picture())

    def _go(self, url: str) -> "Response | None":
        from playwright.sync_api import Error

        try:
            return self._page.goto(url, wait_until="load")
        except Error as error:
            if NO_ANSWER not in error.message:
                raise
            raise OutOfReachError(f"{url}: {error.message.splitlines()[0]}") from error

    def _picture(self) -> bytes:
        height = int(self._page.evaluate("document.documentElement.scrollHeight"))
        clip = {"x": 0, "y": 0, "width": SIZE["width"], "height": min(height, TALLEST)}
        return self._page.screenshot(
            type="jpeg",
            quality=QUALITY,
            full_page=True,
            clip=clip,  # type: ignore[arg-type]
            animations="disabled",
        )

    def _note(self, words: str) -> None:
        where = urlsplit(self._page.url).path or "/"
        self.faults.append(f"{where}: {' '.join(words.split())}")

    def _pass_or_stop(self, route: "Route") -> None:
        if self._reads_only and route.request.method not in READING:
            self._note(f"it tried to {route.request.method} {route.request.url} automatically")
            route.abort()
        else:
            route.continue_()

    def _console(self, kind: str, text: str) -> None:
        # A failed resource is told by its answer, with its address.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self._note(f"console: {text}")

    def _failed(self, request: "Request") -> None:
        self._note(f"{request.method} {request.url} failed: {request.failure}")

    def _answered(self, response: "Response") -> None:
        expected = self._expected.get(response.url)
        if response.status >= 400 and response.status != expected:
            self._note(f"{response.request.method} {response.url} answered {response.status}")


def chromium_words(visit: _Visit) -> str:
    """Return with which browser how many pages were opened."""
    return f"Chromium {visit.version} opened {', '.join(visit.seen)}"


def find_chromium() -> str | None:
    """Return the path of the system's Chromium, or of Chrome; None where there is neither."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


CHROMIUM = command("apt-get install chromium")


@contextmanager
def _chromium() -> Iterator["Browser"]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NotRun(
            "Playwright is not installed",
            hint="install it, and the system's Chromium",
            steps=(command('python -m pip install "playwright>=1.50"'), CHROMIUM),
            optional=True,
        ) from error
    program = find_chromium()
    if program is None:
        raise NotRun(
            f"there is no {', no '.join(NAMES[:3])} on the PATH",
            hint="install the system's Chromium, or Chrome",
            steps=(CHROMIUM,),
            optional=True,
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_flags()))
        try:
            yield browser
        finally:
            browser.close()


def _flags() -> Sequence[str]:
    # Chromium refuses its own sandbox to root, as in a container.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*FLAGS, *(["--no-sandbox"] if root else [])]
