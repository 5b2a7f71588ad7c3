"""The words of a page without its noise: what differs between two answers to the same question."""

from collections.abc import Sequence

from opsmigrate.counted import counted
from opsmigrate.shown import shown
from opsmigrate.uat.baseline.alignment import aligned
from opsmigrate.uat.baseline.record import Page
from opsmigrate.uat.site import Visitor, path_of

NOISE = "…"
WORDS_OF_CONTEXT = 3
DIFFERENCES_NAMED = 5
WORDS_SHOWN = 30


def fetch(visitor: Visitor, url: str, *, expected: int) -> tuple[str, Page, float]:
    """Return the path of a URL, its page, and which part of its words will be compared, 0 to 1.

    The page is asked for twice to learn its noise.
    """
    path = path_of(url)
    first = visitor.get(path, expected=expected)
    second = visitor.get(path, expected=expected)
    said = shown(first.text, lines=True).split()
    words = without_noise(said, shown(second.text, lines=True).split())
    compared = sum(word != NOISE for word in words) / max(1, len(said))
    status = first.status if first.status == second.status else 0
    page = Page(status=status, words=words, seconds=min(first.seconds, second.seconds))
    return path, page, compared


def without_noise(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Return the words that both have, with one mark for each stretch that differs."""
    words: list[str] = []
    for same, start, end, _, _ in aligned(first, second):
        if same:
            words += first[start:end]
        else:
            words.append(NOISE)
    return tuple(words)


def differences(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return what differs, in words with some context; noise on either side is let pass."""
    found = []
    for same, start, end, other_start, other_end in aligned(before, after):
        was, now = before[start:end], after[other_start:other_end]
        if same or _is_noise(was) or (not was and _is_noise(now)):
            continue
        context = " ".join(before[max(0, start - WORDS_OF_CONTEXT) : start])
        found.append(f"{context} “{_shown(was)}” → “{_shown(now)}”".strip())
    return found


def _is_noise(words: Sequence[str]) -> bool:
    # Words beside a mark are none: they stood still when the page was asked for twice.
    return bool(words) and all(word == NOISE for word in words)


def _shown(words: Sequence[str]) -> str:
    more = len(words) - WORDS_SHOWN
    return " ".join(words[:WORDS_SHOWN]) + (f" … and {counted(more, 'word')}" if more > 0 else "")
