"""The key URLs of the settings answer as they should, on the live site."""

from collections.abc import Mapping

from opsmigrate.conf import KeyUrl
from opsmigrate.shown import shown
from opsmigrate.uat.context import Context
from opsmigrate.uat.login_redirect import SET_LOGIN, leads_to_login, why_not_let_in
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check
from opsmigrate.uat.site import Answer, path_of
from opsmigrate.uat.why_status import why_status

EXCERPT = 200
TRIES_WITHIN_BUDGET = 3


@check("key-urls", tags=("site",), severity="blocker", needs=("site", "urls"))
def key_urls(context: Context) -> str:
    """Every URL of OPSMIGRATE["UAT"]["URLS"] has its status and its text."""
    context.http.log_in()
    answers = []
    for url in context.settings.uat.urls:
        answer = context.http.get(path_of(url.url), expected=url.status)
        require_answer(answer, url, context.settings.uat.login)
        answers.append(answer)
    return "; ".join(
        f"{answer.url} {answer.status} in {answer.seconds * 1000:.0f} ms" for answer in answers
    )


@check(
    "url-latency",
    tags=("site", "performance"),
    severity="major",
    needs=("site", "urls", "budgets"),
)
def url_latency(context: Context) -> str:
    """Every URL with a latency budget answers within it, at the best of three."""
    context.http.log_in()
    over, told = [], []
    for url in context.settings.uat.urls:
        if url.budget_ms is None:
            continue
        path = path_of(url.url)
        quickest = min(
            context.http.get(path, expected=url.status).seconds * 1000
            for _ in range(TRIES_WITHIN_BUDGET)
        )
        words = f"{path} {quickest:.0f} of {url.budget_ms:g} ms"
        told.append(words)
        if quickest > url.budget_ms:
            over.append(words)
    if over:
        raise Failed(f"over the budget, at the best of {TRIES_WITHIN_BUDGET}: {'; '.join(over)}")
    return "; ".join(told)


def require_answer(answer: Answer, url: KeyUrl, login: Mapping[str, str] | None) -> None:
    """Raise Failed where the answer has not the URL's status or not its text."""
    if answer.status != url.status:
        to = answer.headers.get("location")
        if leads_to_login(answer.status, to, login):
            why = why_not_let_in(login)
            raise Failed(
                f"{answer.url} answered {answer.status} to the login, not {url.status}: {why}",
                evidence=_excerpt(answer),
                hint=SET_LOGIN,
            )
        raise Failed(
            f"{answer.url} answered {answer.status}{f' to {to}' if to else ''}, not {url.status}",
            evidence=_excerpt(answer),
            hint=why_status(answer),
        )
    if url.text not in answer.body:
        raise Failed(f"{answer.url} does not say {url.text!r}", evidence=_excerpt(answer))


def _excerpt(answer: Answer) -> str:
    return " ".join(shown(answer.text, lines=True).split())[:EXCERPT]
