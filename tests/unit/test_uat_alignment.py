"""Two texts are laid side by side in bounded work, whatever they hold."""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import SequenceMatcher
from html.parser import HTMLParser
from typing import Any

import pytest

from opsmigrate.uat.baseline import alignment
from opsmigrate.uat.baseline.alignment import aligned
from opsmigrate.uat.baseline.pages import NOISE, differences, without_noise
from opsmigrate.uat.visible_text import UNSEEN, visible_text


class Counted(str):
    """A word that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def rows(number: int, values: Sequence[str]) -> list[str]:
    """Return a table of rows that are alike, but for a value in each."""
    return [
        word
        for row in range(number)
        for word in ("Payment", "of", values[row % len(values)], "EUR")
    ]


def same_share(first: Sequence[str], second: Sequence[str]) -> float:
    return sum(end - at for same, at, end, _, _ in aligned(first, second) if same) / len(first)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_an_alignment_and_of_short_texts_the_usual_one(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that it can be done again
    first = [chance.choice("abcde") for _ in range(chance.randrange(60))]
    second = [each for each in first if chance.random() > 0.2] + [chance.choice("ab")] * 3
    found = list(aligned(first, second))

    assert [w for _, at, end, _, _ in found for w in first[at:end]] == first
    assert [w for _, _, _, at, end in found for w in second[at:end]] == second
    assert all(first[a:b] == second[c:d] for same, a, b, c, d in found if same)
    assert not any(same and was for (same, *_), (was, *_) in zip(found[1:], found, strict=False))
    usual = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    same = sum(b - a for same, a, b, _, _ in found if same)
    assert same >= 0.8 * sum(block.size for block in usual)


BIG = 8_000
chance = random.Random(7)  # noqa: S311
FEW = [[chance.choice(("yes", "no", "maybe")) for _ in range(BIG)] for _ in range(2)]
LONG = {
    "similar rows, the same": (rows(BIG, ["1"]), rows(BIG, ["1"]), 1.0),
    "similar rows, one changed": (rows(BIG, ["1"]), [*rows(BIG, ["1"])[:-2], "2", "EUR"], 0.99),
    "similar rows, one gone": (rows(BIG, ["1"]), rows(BIG - 1, ["1"]), 0.99),
    "similar rows, each with another value": (rows(BIG, ["1", "2"]), rows(BIG, ["3", "4"]), 0.74),
    "numbered rows, some gone": (
        rows(BIG, [str(n) for n in range(BIG)]),
        rows(BIG, [str(n) for n in range(BIG) if n % 100])[: 4 * (BIG - BIG // 100)],
        0.98,
    ),
    "few distinct words, in another order": (*FEW, 0.0),
}


@pytest.mark.parametrize("name", LONG)
def test_long_texts_are_aligned_in_work_that_grows_with_their_length(name: str) -> None:
    first, second, share = LONG[name]
    Counted.compared = 0
    words = [Counted(word) for word in first], [Counted(word) for word in second]

    assert same_share(*words) >= share
    assert Counted.compared < 60 * len(first) + alignment.MOST_PAIRS_IN_ALL


def test_the_words_of_a_long_page_that_stand_still_are_compared_and_a_change_is_found() -> None:
    stamps = [[f"{word}-{n}" for n in range(BIG)] for word in ("first", "second", "third")]
    first, second, third = (rows(BIG, each) for each in stamps)
    before = without_noise(first, second)
    changed = list(third)
    changed[4 * 777 + 3] = "USD"

    assert before.count(NOISE) == BIG
    assert before.count("EUR") == BIG
    assert differences(before, without_noise(third, third)) == []
    assert len(found := differences(before, changed)) == 1
    assert "USD" in found[0]


class Reader(HTMLParser):
    """What html.parser sees, which takes quadratic time on some pages."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.unseen = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.unseen += tag in UNSEEN

    def handle_endtag(self, tag: str) -> None:
        self.unseen -= tag in UNSEEN and self.unseen > 0

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.words.append(data)


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><html><head><title>A &amp; B</title></head><body>x</body></html>",
        "<p class='a>b' id=\"c>d\" data-x = 'e>f'>One&nbsp;<b>two</b></p>",
        "<style>b{}</style>One<script>if (a < b) {'</p>'}</script>two<SCRIPT>x</SCRIPT >three",
        "<noscript>no</noscript><template>t<template>u</template>v</template>seen</template>also",
        "a <!-- <b>hidden</b> --> b <!doctype x> c <?php d ?> e",
        "1 < 2 and 3 > 2; a<1; <br/>x<br>y<img src=x alt='>'>z",
        "&lt;b&gt; &#8364; &#x20AC; &euro; &nosuch; &amp;amp; AT&T",
    ],
)
def test_a_page_reads_as_it_does_to_pythons_parser(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    reader.close()

    assert visible_text(page) == " ".join(" ".join(reader.words).split())


class Looked(str):
    """A page that counts how many of its characters are searched."""

    searched = 0

    def find(self, *args: Any) -> int:  # type: ignore[override]
        found = super().find(*args)
        Looked.searched += (len(self) if found < 0 else found) - int(args[1])
        return found


@pytest.mark.parametrize(
    "piece",
    [
        "<!-",
        "<!--",
        "<!",
        "<?",
        "</",
        "</ ",
        "<a",
        "<a ",
        '<a b="',
        "<a b='>",
        "<",
        "<script>",
    ],
)
def test_a_page_of_markup_without_an_end_is_read_once(piece: str) -> None:
    page = Looked(piece * 100_000)
    Looked.searched = 0
    visible_text(page)

    assert Looked.searched < 3 * len(page)


def test_a_number_that_no_character_has_is_read_as_none() -> None:
    assert visible_text(f"a&#{'9' * 100_000};b&#x{'f' * 9}z") == "a\ufffdb\ufffdz"
