"""Files that nobody should have put where opsmigrate reads: each kind by its name."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

GIGABYTE = 1 << 30
DEEP = 200_000


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(b'{"schema": 2, ')
        stream.truncate(GIGABYTE)


def _socket(path: Path) -> None:
    before = Path.cwd()
    # The name of a socket has room for about a hundred bytes.
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "x").write_text("x")


def _link_to_folder(path: Path) -> None:
    path.symlink_to(path.parent)


KINDS: dict[str, Callable[[Path], None]] = {
    "deep list": lambda path: path.write_text("[" * DEEP) and None,
    "deep object": lambda path: path.write_text('{"a":' * DEEP) and None,
    "fifo": lambda path: os.mkfifo(path),
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "sparse gigabyte": _sparse,
    "folder": _folder,
    "link to a folder": _link_to_folder,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "not utf-8": lambda path: path.write_bytes(b'{"a": "\xff"}') and None,
    "nul bytes": lambda path: path.write_bytes(b"\0" * 1000) and None,
    "list": lambda path: path.write_text("[1, 2]") and None,
    "number": lambda path: path.write_text("1e999999") and None,
    "long number": lambda path: path.write_text('{"schema": ' + "9" * 5000 + "}") and None,
    "not a number": lambda path: path.write_text('{"schema": NaN}') and None,
    "empty": lambda path: path.write_text("") and None,
    "surrogates": lambda path: path.write_text(r'{"schema": 2, "seal": "\ud800"}') and None,
}
# What is put into a field whose seal is then made anew.
WRONG_VALUES: tuple[object, ...] = (
    None, True, 5, -1.5, "x", "", [], ["x"], [[1]], [None, 1, "x"], {}, {"x": 1}, {"x": None},
    {"x": []}, {"x": {"x": "x"}}, "\ud800", "9999-99-99", 1e308, {"x": "a\0b"},
)  # fmt: skip
