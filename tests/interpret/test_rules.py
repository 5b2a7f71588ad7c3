"""Statements for each rule: what the interpreter claims of each is what the server does.

`rules/` has them, a line each, and says of none what it does: the server is asked, also as a role
from which the rights are taken away one by one. A line that ends with `-- unknown` has something
that the interpreter does not claim to understand. `python -m tests.interpret.mutants URL` tells
which rules no line notices.
"""

from __future__ import annotations

import pytest
from django.db import connections

from tests.interpret.listed import lines, recorded

LINES = [each for each in lines() if each.ground == "rules"]


@pytest.mark.long
@pytest.mark.parametrize("file", sorted({each.file for each in LINES}))
def test_each_line_does_what_is_claimed(file: str, empty_database: str) -> None:
    connection = connections[empty_database].copy()
    assert connection.pg_version >= 180_000, "the lists are for 18: give a server of it"
    wrong = []
    for line, recording in recorded(connection, [each for each in LINES if each.file == file]):
        judged = [comparison for _, comparison in recording.judged()]
        wrong += [each for comparison in judged for each in comparison.lines()]
        if any(each.unknown for each in judged) != line.unknown:
            wrong.append(f"{'claimed' if line.unknown else 'not claimed'}: {line.text}")
        wrong += [f"rights of {each}" for each in recording.rights_wrong]
        going_on = [comparison for _, comparison in recording.going_on()]
        if not any(each.differences for each in judged):
            # What is not claimed taints whatever may be another than before.
            wrong += [f"after {line.text}: {each}" for one in going_on for each in one.lines()]

    assert not wrong, "\n".join(wrong)
