"""A page that leads to the login instead of answering: whose doing that is, in words."""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.shortcuts import resolve_url

from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.site import path_of

SET_LOGIN = (
    'name the account that logs in with OPSMIGRATE["UAT"]["LOGIN"]; if it takes the account from '
    "environment variables, set them"
)


def leads_to_login(status: int, location: str | None, account: Mapping[str, str] | None) -> bool:
    """Return whether an answer sends its reader to the login of the settings."""
    if not 300 <= status < 400 or not location:
        return False
    try:
        return urlsplit(location).path in _login_paths(account)
    except ValueError:  # no address at all
        return False


def why_not_let_in(account: Mapping[str, str] | None) -> str:
    """Return why a page leads to the login; the words follow a colon."""
    if account is None:
        return "the settings have no LOGIN"
    if not account["username"]:
        return "LOGIN has no username"
    return f"{account['username']} may not log in there"


def _login_paths(account: Mapping[str, str] | None) -> set[str]:
    """Return the paths of LOGIN, and of the login that Django itself sends people to."""
    paths = {urlsplit(resolve_url(django_settings.LOGIN_URL)).path}
    if account is not None:
        with suppress(Failed):  # the login itself says that there is no such URL
            paths.add(path_of(account["url"]))
    return paths
