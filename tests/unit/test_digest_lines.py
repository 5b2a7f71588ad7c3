"""The digest of a table: of its lines, in any order, in pieces of any size."""

import random
from hashlib import blake2b
from io import BytesIO

import pytest

from opsmigrate.digest import lines as module
from opsmigrate.digest.encodings import python_codec
from opsmigrate.digest.large_objects import CHUNK_BYTES, ChunkSum
from opsmigrate.digest.lines import CopyText, TableDigest, TruncatedError

ROWS = [b"1\tan\\n apple", b"2\t\\N", b"", b"3\t\xff\\\\.", b"\\\\.", b"2\t\\N"]


def text_of(content: bytes) -> CopyText:
    return CopyText(BytesIO(content), meanwhile=lambda size: None)


def digest_of(rows: list[bytes]) -> TableDigest:
    return text_of(b"".join(row + b"\n" for row in rows) + b"\\.\n").table()


def test_it_is_the_sum_of_the_first_bytes_of_each_lines_hash() -> None:
    total = sum(int.from_bytes(blake2b(row).digest()[:8], "little") for row in ROWS)

    assert digest_of(ROWS) == TableDigest(6, f"{total % 2**64:016x}")
    assert digest_of([]) == TableDigest(0, "0" * 16)


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = ROWS.copy()
    random.Random(3).shuffle(shuffled)  # noqa: S311 - the same every time

    assert shuffled != ROWS
    assert digest_of(shuffled) == digest_of(ROWS)


@pytest.mark.parametrize(
    "changed",
    [
        ROWS[:-1],
        [*ROWS, ROWS[0]],
        [ROWS[0][:-1], *ROWS[1:]],
        [ROWS[0] + ROWS[1], *ROWS[2:], b""],
        [ROWS[0], *ROWS[:-1]],
    ],
)
def test_a_row_that_is_missing_doubled_or_changed_gives_another_one(changed: list[bytes]) -> None:
    assert digest_of(changed) != digest_of(ROWS)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("longest", [2, 5, 1000])
def test_the_size_of_the_pieces_does_not_matter(
    chunk: int, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [b"x" * 40, b"\\N", b"y" * 17 + b"\\\\.", b""]
    wanted = digest_of(rows)
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(module, "LONGEST_KEPT", longest)
    text = text_of(b"COPY a;\n" + b"\n".join(rows) + b"\n\\.\nCOPY b;\n\\.\nend")

    assert text.line() == b"COPY a;"
    assert text.table() == wanted
    assert text.line() == b"COPY b;"
    assert text.table().rows == 0
    assert [text.line(), text.line()] == [b"end", None]


@pytest.mark.parametrize("content", [b"", b"1\n2\n", b"1\n2", b"x" * 50])
def test_a_text_that_ends_inside_a_table_is_no_table(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_KEPT", 10)

    with pytest.raises(TruncatedError):
        text_of(content).table()


def test_large_objects_are_cut_into_the_same_chunks_however_they_come() -> None:
    content = bytes(range(256)) * 150
    whole, pieces = ChunkSum(), ChunkSum()
    whole.begin(16385).add(content)
    pieces.begin(16385)
    for start in range(0, len(content), 1000):
        pieces.add(content[start : start + 1000])
    for each in (whole, pieces):
        each.end()

    assert whole.result() == pieces.result()
    assert whole.result().rows == -(-len(content) // CHUNK_BYTES)


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("UTF8", "utf-8"),
        ("LATIN1", "iso8859-1"),
        ("WIN1252", "cp1252"),
        ("KOI8R", "koi8-r"),
        ("EUC_JP", "euc_jp"),
        ("SQL_ASCII", "utf-8"),
        ("MULE_INTERNAL", "utf-8"),
    ],
)
def test_an_encoding_of_postgresql_is_known_to_python(encoding: str, codec: str) -> None:
    assert python_codec(encoding) == codec
