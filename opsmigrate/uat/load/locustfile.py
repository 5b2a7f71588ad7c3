"""A person who logs in and goes round the key pages, for locust; changes nothing but the login."""

from __future__ import annotations

import json
import os
import random
import re
from html import unescape
from pathlib import Path
from typing import Any

import django
from locust import HttpUser, between, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

django.setup()

from opsmigrate.conf import load_settings  # noqa: E402 - the settings come first
from opsmigrate.uat.login_redirect import leads_to_login  # noqa: E402
from opsmigrate.uat.site import path_of  # noqa: E402

UAT = load_settings().uat
TOKEN = re.compile(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"')


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_errors(environment: Environment, **kwargs: Any) -> None:
    """Write what went wrong by page and kind, which locust's own JSON does not have."""
    file = os.environ.get("OPSMIGRATE_LOAD_ERRORS")
    if file and not isinstance(environment.runner, WorkerRunner):
        errors = [
            {"name": each.name, "error": str(each.error), "times": each.occurrences}
            for each in environment.stats.errors.values()
        ]
        Path(file).write_text(json.dumps(errors), encoding="utf-8")


class Reader(HttpUser):
    """Opens the key URLs in any order, with a pause for thought."""

    wait_time = between(0.2, 1.0)

    def on_start(self) -> None:
        """Log in, where the settings have a login."""
        login = UAT.login
        if not login or not login.get("username"):
            return
        path = path_of(login["url"])
        form = self.client.get(path, name="login form")
        token = TOKEN.search(form.text)
        fields = {"username": login["username"], "password": login["password"]}
        if token:
            fields["csrfmiddlewaretoken"] = unescape(token.group(1))
        headers = {"Referer": form.url}
        with self.client.post(
            path, fields, name="login", headers=headers, allow_redirects=False, catch_response=True
        ) as answer:
            if answer.status_code not in (302, 303):
                answer.failure(f"the login was refused ({answer.status_code})")

    @task
    def read(self) -> None:
        """Open one page; another status or another text than expected is an error."""
        url = random.choice(UAT.urls)  # noqa: S311 - no secret
        path = path_of(url.url)
        with self.client.get(path, allow_redirects=False, catch_response=True) as answer:
            to = answer.headers.get("Location")
            if answer.status_code != url.status and leads_to_login(
                answer.status_code, to, UAT.login
            ):
                answer.failure(f"{answer.status_code} to the login")
            elif answer.status_code != url.status:
                answer.failure(f"{answer.status_code}{f' to {to}' if to else ''}, not {url.status}")
            elif url.text not in answer.text:
                answer.failure(f"does not say {url.text!r}")
