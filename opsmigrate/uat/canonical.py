"""One way of writing a JSON object, so that its SHA-256 is always the same."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any


def canonical(body: Mapping[str, Any]) -> bytes:
    """Return the object with sorted keys, without blanks, in plain ASCII."""
    words = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return words.encode("ascii")


def digest_of(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON, in hexadecimal."""
    return sha256(canonical(body)).hexdigest()
