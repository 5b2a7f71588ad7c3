"""This release, asked in this process, answers as the live site must; is the live one this one?"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from opsmigrate.conf import KeyUrl
from opsmigrate.counted import counted
from opsmigrate.json_files import UnreadableError, parse_object
from opsmigrate.uat.context import Context
from opsmigrate.uat.local_client import local_client
from opsmigrate.uat.login_redirect import SET_LOGIN, leads_to_login, why_not_let_in
from opsmigrate.uat.outcome import Failed, NotRun
from opsmigrate.uat.registry import check
from opsmigrate.uat.site import Answer, Visitor, path_of
from opsmigrate.uat.why_status import why_status

# One answer comes from one worker; of so many, two workers are both seen 99 times in 100.
TIMES_ASKED = 8


@check(
    "inside-urls", tags=("inside",), severity="major", needs=("urls", "default-alias", "elsewhere")
)
def inside_urls(context: Context) -> str:
    """The key URLs, asked of the code and the database of this process, without a web server."""
    told = []
    with local_client(context) as visitor:
        for url in context.settings.uat.urls:
            path = path_of(url.url)
            response = visitor.get(path)
            _require(response, path, url, context.settings.uat.login)
            told.append(f"{path} {response.status_code}")
    return f"this release on this database: {'; '.join(told)}"


@check("release", tags=("site", "inside"), severity="blocker", needs=("site", "health"))
def release(context: Context) -> str:
    """The release that the live site names at HEALTH_URL is this one, whichever worker answers."""
    path = path_of(str(context.settings.uat.health_url))
    if context.require_site().served:
        named = _release_of(context.http.get(path)) or context.settings.release or "unknown"
        return f"release {named}: this run serves the site itself, there is no other worker"
    ours = _release_here(context, path)
    releases = Counter(_release_of(answer) for answer in _ask_often(context, path))
    if not ours or None in releases:
        who = "the live site" if None in releases else "this process"
        raise NotRun(
            f"{who} does not name its release (at {path}: {_said(releases)}), so a stale worker "
            "would not be seen",
            hint="set OPSMIGRATE_RELEASE, the same for the site and for run_uat",
            optional=True,
        )
    if set(releases) != {ours}:
        raise Failed(
            f"a stale worker: {path} answered {TIMES_ASKED} times, {_said(releases)}; "
            f"this release is {ours}",
            evidence="restart the workers that serve the old release, and run this again",
        )
    return f"release {ours}, the same here and in {TIMES_ASKED} answers of the live site"


def _ask_often(context: Context, path: str) -> list[Answer]:
    # A visitor each: a connection that is kept would be answered by one worker.
    site = context.require_site()
    answers = [Visitor(site).get(path) for _ in range(TIMES_ASKED - 1)]
    return [context.http.get(path), *answers]


def _release_of(answer: Answer) -> str | None:
    if answer.status != 200:
        raise Failed(
            f"{answer.url} answered {answer.status}",
            evidence=answer.text[:200],
            hint=why_status(answer),
        )
    return _named(answer.body)


def _release_here(context: Context, path: str) -> str | None:
    """Return what this process would answer; what the settings say where it cannot be asked."""
    if context.connection.alias == DEFAULT_DB_ALIAS:
        with suppress(NotRun), local_client(context, anonymous=True) as visitor:
            named = _named(visitor.get(path).content.decode(errors="replace"))
            if named:
                return named
    return context.settings.release


def _named(body: str) -> str | None:
    try:
        named = parse_object(body).get("release")
    except UnreadableError:
        return None
    return str(named) if named else None


def _said(releases: "Counter[str | None]") -> str:
    told = releases.most_common()
    return ", ".join(f"{counted(times, 'time')} {each or 'no release'}" for each, times in told)


def _require(response: Any, path: str, url: KeyUrl, login: Mapping[str, str] | None) -> None:
    body = b"".join(response) if response.streaming else response.content
    status = response.status_code
    if status != url.status:
        to = response["Location"] if response.has_header("Location") else None
        if leads_to_login(status, to, login):
            raise Failed(
                f"{path} answered {status} to the login in this process, not {url.status}: "
                + why_not_let_in(login),
                hint=SET_LOGIN,
            )
        raise Failed(
            f"{path} answered {status}{f' to {to}' if to else ''} in this process, not "
            f"{url.status}",
            evidence=_crash_of(response),
        )
    if url.text not in body.decode(response.charset, errors="replace"):
        raise Failed(f"{path} does not say {url.text!r} in this process")


def _crash_of(response: Any) -> str:
    error = getattr(response, "exc_info", None)
    return f"{error[0].__name__}: {error[1]}" if error else ""
