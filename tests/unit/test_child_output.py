"""What a child process prints is told while it works, and not only when a line is finished."""

import tempfile

import pytest

from opsmigrate.playbook.child_output import CAN_READ_BESIDE, ChildOutput


@pytest.mark.skipif(not CAN_READ_BESIDE, reason="nothing is read beside the child without pread")
def test_a_line_that_stays_unfinished_is_told_once() -> None:
    said: list[str] = []
    with tempfile.TemporaryFile(buffering=0) as file:
        output = ChildOutput(file, said.append)
        file.write(b"Running migrations:\n  Applying shop.0003_long...")
        output.tell()
        assert said == ["  Running migrations:"]
        for _ in range(3):
            output.tell()
        assert said == ["  Running migrations:", "  Applying shop.0003_long..."]
        assert output.last == "Running migrations:"

        file.write(b" OK\n")
        output.tell()
        output.tell()
        assert said[2:] == ["  Applying shop.0003_long... OK"]
        assert output.last == "Applying shop.0003_long... OK"
