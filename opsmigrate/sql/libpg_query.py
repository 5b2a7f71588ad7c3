"""PostgreSQL's own parser, libpg_query, as the package postgast ships it: the only importer of it.

To import the package itself takes as long as to load its library and its messages: most of it are
classes around each node of the grammar, a way to format SQL, and a way to walk through it, none of
which is asked for here. So its two files that matter are loaded by their places.
"""

import ctypes
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


class ParseError(Exception):
    """What libpg_query says against a text; `function` is the one of PostgreSQL's that said so."""

    def __init__(self, words: str, function: str = "") -> None:
        super().__init__(words)
        self.function = function


@dataclass(frozen=True)
class LibPgQuery:
    """The library's functions; `messages` has the protobuf messages of the grammar."""

    native: Any
    messages: Any

    def parse(self, text: bytes) -> Any:
        """Return the ParseResult of a text; raise ParseError, or protobuf's DecodeError."""
        found = self.native.lib.pg_query_parse_protobuf(text)
        try:
            return self.messages.ParseResult.FromString(_content(found, found.parse_tree))
        finally:
            self.native.lib.pg_query_free_protobuf_parse_result(found)

    def scan(self, text: bytes) -> Any:
        """Return the ScanResult of a text; raise ParseError."""
        found = self.native.lib.pg_query_scan(text)
        try:
            return self.messages.ScanResult.FromString(_content(found, found.pbuf))
        finally:
            self.native.lib.pg_query_free_scan_result(found)

    def read_routine(self, text: bytes) -> None:
        """Read the body of a CREATE FUNCTION in PL/pgSQL; raise ParseError."""
        found = self.native.lib.pg_query_parse_plpgsql(text)
        try:
            _require_no_error(found)
        finally:
            self.native.lib.pg_query_free_plpgsql_parse_result(found)

    def deparse(self, tree: Any) -> str:
        """Return a ParseResult as SQL; raise ParseError."""
        content = tree.SerializeToString()
        place = ctypes.create_string_buffer(content)
        address = ctypes.cast(place, ctypes.c_void_p).value
        given = self.native.PgQueryProtobuf(len=len(content), data=address)
        found = self.native.lib.pg_query_deparse_protobuf(given)
        try:
            _require_no_error(found)
            return str(found.query.decode())
        finally:
            self.native.lib.pg_query_free_deparse_result(found)


def load() -> LibPgQuery:
    """Return the library; raise whatever stands in the way of importing it."""
    spec = find_spec("postgast")
    folders = (spec and spec.submodule_search_locations) or []
    for folder in map(Path, folders):
        files = folder / "native.py", folder / "pg_query_pb2.py"
        if all(map(Path.is_file, files)):
            return LibPgQuery(*(_module(file) for file in files))
    # Another release may have its files elsewhere, and an archive has none.
    import postgast

    return LibPgQuery(postgast.native, postgast.pg_query_pb2)


def _module(file: Path) -> Any:
    """Return the module of a file, which has no other name than its own."""
    spec = spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _content(found: Any, buffer: Any) -> bytes:
    _require_no_error(found)
    return ctypes.string_at(buffer.data, buffer.len)


def _require_no_error(found: Any) -> None:
    if found.error:
        error = found.error.contents
        message, function = error.message, error.funcname
        raise ParseError(
            message.decode() if message else "unknown error", function.decode() if function else ""
        )
