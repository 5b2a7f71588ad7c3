"""The key URLs of the settings answer as they should, on the live site."""

from collections.abc import Mapping
from typing import Any

from opsmigrate.uat.context import Context, Failed
from opsmigrate.uat.registry import check
from opsmigrate.uat.site import Answer, Site, path_of

EXCERPT = 200


@check("key-urls", tags=("site",), severity="blocker", needs=("site", "urls"))
def key_urls(context: Context) -> str:
    """Every URL of OPSMIGRATE["UAT"]["URLS"] has its status and its text."""
    site, urls = context.require_site(), context.settings.uat.urls
    _log_in(site, context.settings.uat.login)
    answers = [_require(site.get(path_of(str(entry["url"]))), entry) for entry in urls]
    return "; ".join(
        f"{answer.url} {answer.status} in {answer.seconds * 1000:.0f} ms" for answer in answers
    )


def _log_in(site: Site, login: Mapping[str, str] | None) -> None:
    if not login or not login.get("username"):
        return
    answer = site.log_in(path_of(login["url"]), login["username"], login.get("password", ""))
    if answer.status not in (302, 303):
        raise Failed(
            f"the login of {login['username']} at {answer.url} was refused (status "
            f"{answer.status}, where a redirect says welcome)",
            evidence="check the user name and the password that the settings give to UAT",
        )


def _require(answer: Answer, entry: Mapping[str, Any]) -> Answer:
    status, text = int(entry.get("status", 200)), str(entry.get("text", ""))
    if answer.status != status:
        to = f" to {answer.headers['location']}" if "location" in answer.headers else ""
        raise Failed(
            f"{answer.url} answered {answer.status}{to}, not {status}", evidence=_excerpt(answer)
        )
    if text not in answer.body:
        raise Failed(f"{answer.url} does not say {text!r}", evidence=_excerpt(answer))
    return answer


def _excerpt(answer: Answer) -> str:
    return " ".join(answer.body.split())[:EXCERPT]
