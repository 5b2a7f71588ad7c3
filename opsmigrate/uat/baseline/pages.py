"""The words of a page without its noise: what differs between two answers to the same question."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from opsmigrate.shown import shown
from opsmigrate.uat.baseline.record import Page
from opsmigrate.uat.site import Visitor, path_of

NOISE = "…"
WORDS_OF_CONTEXT = 3
DIFFERENCES_NAMED = 5


def fetch(visitor: Visitor, url: str, *, expected: int) -> tuple[str, Page]:
    """Return the path of a URL, and its page, asked for twice to learn its noise."""
    path = path_of(url)
    first = visitor.get(path, expected=expected)
    second = visitor.get(path, expected=expected)
    words = without_noise(
        shown(first.text, lines=True).split(), shown(second.text, lines=True).split()
    )
    status = first.status if first.status == second.status else 0
    return path, Page(status=status, words=words, seconds=min(first.seconds, second.seconds))


def without_noise(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Return the words that both have, with one mark for each stretch that differs."""
    words: list[str] = []
    for tag, start, end, _, _ in _matcher(first, second).get_opcodes():
        if tag == "equal":
            words += first[start:end]
        else:
            words.append(NOISE)
    return tuple(words)


def differences(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return what differs, in words with some context; noise on either side is let pass."""
    found = []
    for tag, start, end, other_start, other_end in _matcher(before, after).get_opcodes():
        was, now = before[start:end], after[other_start:other_end]
        if tag == "equal" or _is_noise(was) or (not was and _is_noise(now)):
            continue
        context = " ".join(before[max(0, start - WORDS_OF_CONTEXT) : start])
        found.append(f"{context} “{' '.join(was)}” → “{' '.join(now)}”".strip())
    return found


def _is_noise(words: Sequence[str]) -> bool:
    # Words beside a mark are none: they stood still when the page was asked for twice.
    return bool(words) and all(word == NOISE for word in words)


def _matcher(first: Sequence[str], second: Sequence[str]) -> "SequenceMatcher[str]":
    return SequenceMatcher(None, first, second, autojunk=False)
