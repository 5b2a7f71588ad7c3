"""What a login form wants to be called: each project has names of its own."""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple

INPUT = re.compile(r"<input\b([^>]{0,2000})>", re.IGNORECASE)
# A value in quotes of either kind, or in none, as what makes pages small leaves it.
ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
TYPED = ("text", "email", "tel")
TOKEN = "csrfmiddlewaretoken"  # noqa: S105 - the name of a field


class LoginForm(NamedTuple):
    """The names of its fields, and the token against forgery, None where it has none."""

    user: str
    password: str
    token: str | None


def login_form(body: str) -> LoginForm:
    """Return what the login form in a page has; Django's own names where the page has none."""
    user, token = None, None
    found: LoginForm | None = None
    for attributes in INPUT.findall(body):
        field = {
            name.lower(): unescape(double or single or plain)
            for name, double, single, plain in ATTRIBUTE.findall(attributes)
        }
        kind, name = field.get("type", "text").lower(), field.get("name", "")
        if name == TOKEN:
            token = field.get("value")
        elif kind == "password" and name and found is None:
            found = LoginForm(user or "username", name, None)
        elif kind in TYPED and name and found is None:
            user = name
    return (found or LoginForm("username", "password", None))._replace(token=token)
