"""A page is compared without its noise, and nothing else is let pass."""

from __future__ import annotations

import pytest

from opsmigrate.uat.baseline.compare import matches
from opsmigrate.uat.baseline.pages import NOISE, differences, without_noise
from opsmigrate.uat.visible_text import visible_text

FIRST = ["Totals", "999033.42", "EUR", "generated", "12:00:01.5", "by", "a1", "end"]
SECOND = ["Totals", "999033.42", "EUR", "generated", "12:00:02.7", "by", "b2", "end"]


def test_what_differs_between_two_answers_is_noise() -> None:
    assert without_noise(FIRST, SECOND) == (
        *("Totals", "999033.42", "EUR", "generated"),
        *(NOISE, "by", NOISE, "end"),
    )


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (FIRST, []),
        ([*FIRST[:4], NOISE, "by", NOISE, "end"], []),
        (["Totals", "999034.42", *FIRST[2:]], ["Totals “999033.42” → “999034.42”"]),
        (FIRST[:-1], ["“… end” → “a1”"]),
        ([*FIRST, "more"], ["by … end “” → “more”"]),
        (["Totals", NOISE, *FIRST[2:]], ["Totals “999033.42” → “…”"]),
    ],
)
def test_a_difference_that_is_no_noise_is_found(now: list[str], found: list[str]) -> None:
    told = differences(without_noise(FIRST, SECOND), now)

    assert len(told) == len(found)
    assert all(words in each for words, each in zip(found, told, strict=True))


def test_only_what_a_reader_sees_is_compared() -> None:
    page = "<style>b{}</style><p class='x1'>One&nbsp;<b>two</b><script>var three</script></p>"

    assert visible_text(page) == "One two"


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("a.B.count", "a.B.count", True),
        ("a.B.*", "a.B.sum(x)[status=paid]", True),
        ("a.B.count", "a.B.count[status=paid]", False),
        ("a.B.count[status=*]", "a.B.count[status=paid]", True),
        ("page /alerts/", "page /alerts/", True),
        ("a.B", "a.Bc", False),
    ],
)
def test_an_expectation_speaks_of_what_it_names(pattern: str, name: str, does: bool) -> None:
    assert matches(pattern, name) is does
