"""Files that are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from opsmigrate.errors import UsageError
from opsmigrate.files import require_writable, write_atomically


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("before, and longer than what comes after")

    write_atomically(file, "after ü\n")

    assert file.read_text(encoding="utf-8") == "after ü\n"
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "public", "x")
        write_atomically(tmp_path / "private", "x", mode=0o600)
    finally:
        os.umask(before)

    assert mode_of(tmp_path / "public") == 0o644
    assert mode_of(tmp_path / "private") == 0o600


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("before")

    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "a surrogate: \udc80")

    assert file.read_text() == "before"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_a_reader_keeps_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("before")

    with file.open() as reader:
        write_atomically(file, "after")
        assert reader.read() == "before"


def test_a_link_stays_a_link_to_the_file_that_is_written(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("before")
    link.symlink_to(real)

    write_atomically(link, "after")

    assert link.is_symlink()
    assert real.read_text() == "after"


def test_what_is_no_file_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        require_writable(pipe)
        write_atomically(pipe, "through")

        assert os.read(reader, 100) == b"through"
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    finally:
        os.close(reader)


def test_a_pipe_of_the_shell_has_no_path_and_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        for name in (f"/dev/fd/{writing}", f"/proc/self/fd/{writing}"):
            require_writable(Path(name))
            write_atomically(Path(name), "through")

            assert os.read(reading, 100) == b"through"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_name_that_can_be_no_file_is_a_usage_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for file in (loop, tmp_path / ("x" * 300)):
        with pytest.raises(UsageError):
            require_writable(file)


def test_a_file_in_a_folder_that_is_there_can_be_written(tmp_path: Path) -> None:
    require_writable(tmp_path / "report.json")
    require_writable(Path("/dev/null"))


@pytest.mark.parametrize("name", ["missing/report.json", ""])
def test_a_folder_or_a_file_without_a_folder_is_a_usage_error(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with pytest.raises(UsageError) as caught:
        require_writable(file)

    assert caught.value.id == "cannot-write-output"
    assert caught.value.hint == "name a file in a folder that exists with --output"
    assert str(caught.value) == (
        f"cannot write {file}: its folder does not exist or is not writable"
    )
