"""Keep secrets out of the reports: those of the settings, and what a login brought."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from django.conf import settings as django_settings

from opsmigrate.deprecations import without_deprecations
from opsmigrate.shown import shown

MASK = "***"
# A shorter text is found in too many words for anybody to learn it from what is masked.
SHORTEST_SECRET = 4
NAMES = re.compile(r"PASSW(?:OR)?D|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL", re.I)
PATTERNS = (
    (re.compile(r"(?<=://)([^/\s:@]+):([^/\s@]+)(?=@)"), rf"\1:{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (
        re.compile(r"(?i)\b(password|passwd|pwd|secret|token)(\s*[=:]\s*)[^\s,;&\"']+"),
        rf"\1\2{MASK}",
    ),
)


class Redactor:
    """Masks the secrets it was told, in every form in which they may be written."""

    def __init__(self, secrets: Iterable[str], *, shown: Iterable[str] = ()) -> None:
        # What equals a name that the report shows is no secret worth garbling the report for.
        public = set(shown)
        kept = {item for item in secrets if len(item) >= SHORTEST_SECRET and item not in public}
        forms = {form for item in kept for form in _forms(item)}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return the text without secrets, and with an escape for each that would act."""
        for form in self._forms:
            text = text.replace(form, MASK)
        for pattern, mask in PATTERNS:
            text = pattern.sub(mask, text)
        return shown(text, lines=True)


def secrets_of_settings() -> Iterator[str]:
    """Yield every text in the project's settings whose name says that it is a secret."""
    with without_deprecations():
        values = {
            name: getattr(django_settings, name) for name in dir(django_settings) if name.isupper()
        }
    for name, value in values.items():
        yield from _secrets(name, value)


def _secrets(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(str(key), inner)
    elif isinstance(value, str):
        if NAMES.search(name):
            yield value
    elif name == "SECRET_KEY_FALLBACKS":
        yield from (str(item) for item in value)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
