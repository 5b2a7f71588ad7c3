"""A seal by a key that only the project has: who forges a file cannot make it."""

import hmac
import json
import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import rfc8785

from opsmigrate.conf import load_seal_key

# The entry of a sealed file; it covers all others.
ENTRY = "keyed_seal"
ALGORITHM = "HMAC-SHA-256 of RFC 8785"
# RFC 8785 writes numbers as JavaScript has them: beyond this, two integers are the same one.
LARGEST_EXACT = (1 << 53) - 1


class WrongSealError(Exception):
    """A key is set, and the file is not sealed with it; the message goes on after its name."""


def with_keyed_seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object with its seal, or as it is where OPSMIGRATE["SEAL_KEY"] is not set."""
    key = load_seal_key()
    if key is None:
        return dict(body)
    return {**body, ENTRY: {"alg": ALGORITHM, "value": _value(body, key)}}


def require_keyed_seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object without its seal; raise WrongSealError where it has not the right one.

    Where no key is set, nothing is asked of it.
    """
    rest = {name: value for name, value in body.items() if name != ENTRY}
    key = load_seal_key()
    if key is None:
        return rest
    seal = body.get(ENTRY)
    if not isinstance(seal, dict):
        raise WrongSealError("has no keyed seal, but SEAL_KEY is set")
    if seal.get("alg") != ALGORITHM:
        raise WrongSealError(f"is sealed by {seal.get('alg')!r}; this version knows {ALGORITHM}")
    given = str(seal.get("value")).encode(errors="replace")
    try:
        right = _value(rest, key)
    except RecursionError as error:
        raise WrongSealError("is nested too deeply to be a file of opsmigrate") from error
    if not hmac.compare_digest(given, right.encode()):
        raise WrongSealError("was sealed with another key than SEAL_KEY, or was changed since")
    return rest


def canonical_json(body: Mapping[str, Any]) -> bytes:
    """Return the object in the one form that RFC 8785 gives it.

    What that form cannot hold is written as text: integers beyond 2^53, what is no number, and
    lone surrogates, escaped.
    """
    # First what a reader of the file gets: lists for tuples, text for what JSON does not know.
    return rfc8785.dumps(_exact(json.loads(json.dumps(body, default=str))))


def _value(body: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical_json(body), sha256).hexdigest()


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {_exact(name): _exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, bool) or value is None:
        return value
    exact = math.isfinite(value) if isinstance(value, float) else abs(value) <= LARGEST_EXACT
    return value if exact else str(value)
