"""JSON that another program may have written: bounded, never waited for, of the types expected."""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

MOST_BYTES = 64 << 20
OR_EMPTY = "or empty"
# No device and no pipe makes an open() wait then; neither flag is known everywhere.
WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
Shaped = TypeVar("Shaped")


class UnreadableError(Exception):
    """What was to be read is not what it should be; the message says how, without its name."""


def read_text(file: Path, *, most: int = MOST_BYTES) -> str:
    """Return the text of an ordinary file of at most `most` bytes, in UTF-8.

    Raises FileNotFoundError where it is not there, else UnreadableError: a pipe, a socket or a
    device is not waited for, and what is longer is not read.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | WITHOUT_WAITING)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableError(f"it cannot be opened ({_reason(error)})") from error
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise UnreadableError("it is not a regular file")
        if about.st_size > most:
            raise UnreadableError(f"it has {about.st_size / 1e6:,.0f} MB")
        with open(descriptor, "rb", closefd=False) as stream:
            # It may grow while it is read.
            return stream.read(about.st_size + 1).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError("it is not UTF-8 text") from error
    except OSError as error:
        raise UnreadableError(f"it cannot be read ({_reason(error)})") from error
    finally:
        os.close(descriptor)


def read_object(file: Path, *, most: int = MOST_BYTES) -> dict[str, Any]:
    """Return the JSON object that a file holds; raises as read_text() does."""
    text = read_text(file, most=most)
    # Before a large foreign file is taken apart: every kind that opsmigrate writes is an object.
    if not text.lstrip().startswith("{"):
        raise UnreadableError("it is not a JSON object")
    return parse_object(text)


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is; raise UnreadableError where it is none."""
    try:
        body = json.loads(text, parse_constant=_no_number)
        if SURROGATE.search(text):
            # Half of a pair is no character, and nothing that is made of it can be written.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        # RecursionError: nested too deeply for Python's reader.
        raise UnreadableError("it is not valid JSON") from error
    if not isinstance(body, dict):
        raise UnreadableError("it is not a JSON object")
    return body


def shaped(kind: type[Shaped], body: Mapping[str, Any]) -> Shaped:
    """Return the dataclass `kind` made of a JSON object; raise UnreadableError at a wrong type.

    Lists become tuples where the annotation says tuple. Annotated[what, shape] is held against
    the shape besides; with OR_EMPTY among the shapes, unless it is empty. A seal
    says that nobody changed a file, not that it was written with sense.
    """
    made = _dataclass(kind, body, "")
    assert isinstance(made, kind)  # noqa: S101 - for mypy
    return made


def _dataclass(kind: Any, body: Any, where: str) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    if not isinstance(body, Mapping):
        raise _wrong(where)
    if unknown := body.keys() - hints.keys():
        raise _wrong(f"{where}.{min(unknown)}")
    values = {name: _value(hints[name], each, f"{where}.{name}") for name, each in body.items()}
    try:
        return kind(**values)
    except TypeError as error:
        missing = [each.name for each in fields(kind) if each.name not in body]
        raise _wrong(f"{where}.{', '.join(missing)}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        shapes = [each for each in arguments[1:] if each != OR_EMPTY]
        for shape in shapes if value or len(shapes) == len(arguments) - 1 else ():
            _value(shape, value, where)
        return _value(arguments[0], value, where)
    if origin in (Union, UnionType):
        return _any_of(arguments, value, where)
    if is_dataclass(hint):
        return _dataclass(hint, value, where)
    if is_typeddict(hint):
        return _typed_dict(hint, value, where)
    return _plain(hint, value, where) if origin is None else _container(hint, value, where)


def _container(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if origin is tuple:
        return _tuple(arguments, value, where)
    if _is_class(origin, Mapping) and isinstance(value, Mapping):
        return {key: _value(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    if _is_class(origin, Sequence) and isinstance(value, list):
        return [_value(arguments[0], each, where) for each in value]
    raise _wrong(where)


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint in (None, NoneType):
        fits = value is None
    elif isinstance(value, bool):
        # To Python a bool is an int.
        fits = hint is bool
    else:
        fits = isinstance(value, int | float if hint is float else hint)
    if not fits:
        raise _wrong(where)
    return value


def _any_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    for kind in kinds:
        try:
            return _value(kind, value, where)
        except UnreadableError:
            continue
    raise _wrong(where)


def _typed_dict(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping) or not kind.__required_keys__ <= value.keys():
        raise _wrong(where)
    hints = get_type_hints(kind, include_extras=True)
    for name in hints.keys() & value.keys():
        _value(hints[name], value[name], f"{where}.{name}")
    return value


def _tuple(kinds: Sequence[Any], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where)
    if kinds[-1] is Ellipsis:
        return tuple(_value(kinds[0], each, where) for each in value)
    if len(kinds) != len(value):
        raise _wrong(where)
    return tuple(_value(kind, each, where) for kind, each in zip(kinds, value, strict=True))


def _is_class(origin: Any, kind: type) -> bool:
    return isinstance(origin, type) and issubclass(origin, kind)


def _wrong(where: str) -> UnreadableError:
    return UnreadableError(f"{where.lstrip('.') or 'it'} has the wrong type")


def _no_number(word: str) -> None:
    raise ValueError(word)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
