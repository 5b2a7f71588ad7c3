"""The digest of one table: its rows, and a sum over the lines of its COPY text."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO

CHUNK_BYTES = 1 << 18
# What may be kept of a line that has not ended; a longer one is hashed piece by piece.
LONGEST_KEPT = 1 << 20
END = b"\\."
MASK = (1 << 64) - 1


@dataclass(frozen=True)
class TableDigest:
    """The rows of a table, and their digest as 16 hexadecimal digits.

    The digest is the sum modulo 2^64 of the first 8 bytes (little endian) of the BLAKE2b of each
    line of COPY's text format, without its line break. It does not depend on the order of the
    rows, and a row that is there twice counts twice.
    """

    rows: int
    digest: str

    def __add__(self, other: "TableDigest") -> "TableDigest":
        """Return the digest of the rows of both."""
        total = (int(self.digest, 16) + int(other.digest, 16)) & MASK
        return TableDigest(self.rows + other.rows, f"{total:016x}")


NO_ROWS = TableDigest(0, f"{0:016x}")


class TruncatedError(Exception):
    """The text ended inside a table."""


class Sum:
    """A digest in the making."""

    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, lines: list[bytes]) -> None:
        """Add whole lines, without their line breaks."""
        total, hashed, number = 0, blake2b, int.from_bytes
        for line in lines:
            total += number(hashed(line).digest()[:8], "little")
        self._total += total
        self.rows += len(lines)

    def add_hash(self, digest: bytes) -> None:
        """Add one line by its BLAKE2b."""
        self._total += int.from_bytes(digest[:8], "little")
        self.rows += 1

    def result(self) -> TableDigest:
        """Return the digest of what was added."""
        return TableDigest(self.rows, f"{self._total & MASK:016x}")


class CopyText:
    """Text with the rows of tables in it, as psql and pg_restore write it; constant memory."""

    def __init__(self, stream: IO[bytes], *, meanwhile: Callable[[int], None]) -> None:
        """Read from `stream`; `meanwhile` is told the bytes of each piece."""
        self._stream = stream
        self._meanwhile = meanwhile
        self._lines: list[bytes] = []
        self._at = 0
        self._begun = b""

    def line(self) -> bytes | None:
        """Return the next line without its line break, None at the end."""
        while self._at == len(self._lines):
            if not self._fill():
                rest, self._begun = self._begun, b""
                return rest or None
        self._at += 1
        return self._lines[self._at - 1]

    def table(self) -> TableDigest:
        r"""Return the digest of the lines up to the end mark `\.`, which no row can look like.

        Raises TruncatedError where the text ends before.
        """
        found = Sum()
        while True:
            try:
                end = self._lines.index(END, self._at)
            except ValueError:
                end = len(self._lines)
            found.add(self._lines[self._at : end])
            if end < len(self._lines):
                self._at = end + 1
                return found.result()
            self._at = end
            if len(self._begun) > LONGEST_KEPT:
                self._long_line(found)
            elif not self._fill():
                raise TruncatedError("the text ended inside a table")

    def _long_line(self, found: Sum) -> None:
        digest, self._begun = blake2b(self._begun), b""
        while not self._lines[self._at :]:
            if not self._fill():
                raise TruncatedError("the text ended inside a row")
            if self._at == len(self._lines):
                digest.update(self._begun)
                self._begun = b""
        digest.update(self._lines[self._at])
        self._at += 1
        found.add_hash(digest.digest())

    def _fill(self) -> bool:
        piece = self._stream.read(CHUNK_BYTES)
        if not piece:
            return False
        self._meanwhile(len(piece))
        lines = (self._begun + piece).split(b"\n")
        self._begun = lines.pop()
        self._lines, self._at = lines, 0
        return True
