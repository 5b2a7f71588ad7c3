"""The JSON that commands write, held against the schema that the package publishes for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from scripts.json_schemas import FOLDER


def parsed(text: str) -> dict[str, Any]:
    """Return the JSON object that a command wrote; it fails where its schema does not allow it.

    It is stricter than the schema, which lets later versions add keys: here no key may be new.
    """
    _require_valid(text)
    body: dict[str, Any] = json.loads(text)
    return body


@lru_cache(maxsize=64)
def _require_valid(text: str) -> None:
    body = json.loads(text)
    schema = schema_name(body)
    for validator in validators(schema):
        error = best_match(validator.iter_errors(body))
        if error is not None:
            raise AssertionError(_words(error, schema))


def schema_name(body: dict[str, Any]) -> str:
    """Return which of the schemas is that of a report or a file."""
    if "event" in body:
        return "webhook" if "database" in body else "journal_line"
    if "command" not in body:
        return "baseline" if "kind" in body else "manifest"
    if "sha256" in body:
        return "uat_report"
    return body["command"] if (FOLDER / f"{body['command']}.json").exists() else "report"


@lru_cache
def validators(schema: str) -> tuple[Draft202012Validator, Draft202012Validator]:
    """Return the validators of a schema as it is published, and of a stricter one."""
    published = json.loads((FOLDER / f"{schema}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(published), Draft202012Validator(closed(published))


def closed(schema: Any) -> Any:
    """Return the schema whose objects have no other keys than those that are described."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in schema else inner


def _words(error: ValidationError, schema: str) -> str:
    return f"opsmigrate/json_schemas/{schema}.json does not allow it: " + "; ".join(_deepest(error))


def _deepest(error: ValidationError) -> Iterator[str]:
    yield f"{error.json_path}: {error.message[:600]}"
    for each in error.context or ():
        if len(each.absolute_path) > 1 or each.validator in ("required", "additionalProperties"):
            yield f"{each.json_path}: {each.message[:300]}"
