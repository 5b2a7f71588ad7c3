"""What OPSMIGRATE["PLAYBOOK"] has before and after a step, and the webhook that is told."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from http.client import HTTPException
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from opsmigrate.conf import Argv, PlaybookSettings, load_webhook_key
from opsmigrate.errors import UndecidedError
from opsmigrate.playbook.command_process import run_hook
from opsmigrate.playbook.journal_lines import Event, StepEnd, WebhookBody
from opsmigrate.report import Finding, Severity, Verdict

SIGNATURE = "X-Opsmigrate-Signature"
WEBHOOK_SECONDS = 10.0


class _NoRedirect(HTTPRedirectHandler):
    """What was signed for one address is not sent to another."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The hooks of one run; `say` is told what they print."""

    settings: PlaybookSettings
    run_id: str
    say: Callable[[str], None]

    def before(self, step: str) -> None:
        """Run the commands before a step; raise UndecidedError where one fails: it is not begun."""
        for argv in self.settings.before.get(step, ()):
            why = self._run(argv, {"OPSMIGRATE_STEP": step})
            if why is not None:
                raise UndecidedError(
                    f"the command {argv[0]!r} before the step {step} {why}; the step was not begun",
                    id="hook-failed",
                    hint=f'correct OPSMIGRATE["PLAYBOOK"]["BEFORE"][{step!r}], or what it calls',
                )

    def after(self, step: str, exit_code: int) -> list[Finding]:
        """Run the commands after a step, however it ended; return what is said of failures."""
        variables = {"OPSMIGRATE_STEP": step, "OPSMIGRATE_EXIT_CODE": str(exit_code)}
        return [
            Finding(
                id="hook-failed",
                severity=Severity.WARNING,
                message=f"the command {argv[0]!r} after the step {step} {why}",
                hint=f'correct OPSMIGRATE["PLAYBOOK"]["AFTER"][{step!r}], or what it calls',
            )
            for argv in self.settings.after.get(step, ())
            if (why := self._run(argv, variables)) is not None
        ]

    def tell(
        self,
        event: Event,
        database: str,
        *,
        end: StepEnd | None = None,
        verdict: Verdict | None = None,
    ) -> list[Finding]:
        """Tell the webhook; return what is said where that fails: the run goes on."""
        if self.settings.webhook is None:
            return []
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        body: WebhookBody = {"event": event, "run_id": self.run_id, "database": database, "at": at}
        if end is not None:
            body |= {"step": end.step, "exit_code": end.exit_code, "summary": end.summary}
        if verdict is not None:
            body["verdict"] = verdict.value
        why = post(self.settings.webhook, load_webhook_key() or b"", body)
        if why is None:
            return []
        return [
            Finding(
                id="webhook-failed",
                severity=Severity.WARNING,
                message=f"the webhook was not told of {event}: {why}",
                hint='check OPSMIGRATE["PLAYBOOK"]["WEBHOOK"], and who listens there',
            )
        ]

    def _run(self, argv: Argv, variables: Mapping[str, str]) -> str | None:
        """Return why it failed, None where it did not; its words may be anything."""
        try:
            end = run_hook(argv, {"OPSMIGRATE_RUN_ID": self.run_id, **variables}, say=self.say)
        except OSError as error:
            return f"cannot be started: {error.strerror or type(error).__name__}"
        return f"ended with {end.exit_code}" if end.exit_code else None


def post(url: str, key: bytes, body: Mapping[str, Any]) -> str | None:
    """Send a JSON body signed with `key`; return why it did not arrive, None where it did.

    The signature is the HMAC-SHA-256 of the bytes of the body. The address is in no words: such
    addresses have a secret in them. It takes WEBHOOK_SECONDS at most: a server that answers byte by
    byte would be within the time limit of each read.
    """
    answered: list[str | None] = []
    thread = Thread(target=lambda: answered.append(_post(url, key, body)), daemon=True)
    thread.start()
    thread.join(WEBHOOK_SECONDS)
    return answered[0] if answered else "TimeoutError"


def _post(url: str, key: bytes, body: Mapping[str, Any]) -> str | None:
    data = json.dumps(body, default=str).encode()
    signature = hmac.new(key, data, sha256).hexdigest()
    headers = {"Content-Type": "application/json", SIGNATURE: f"sha256={signature}"}
    # http and https only, as the settings are read.
    request = Request(url, data=data, headers=headers, method="POST")  # noqa: S310
    try:
        with build_opener(_NoRedirect).open(request, timeout=WEBHOOK_SECONDS):
            return None
    except HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except (URLError, OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        return f"{type(reason).__name__}"
