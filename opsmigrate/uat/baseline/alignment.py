"""Which words of two texts are the same ones, in time that grows with their length and no more."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

# Stretches of so many words that each text has once are the same stretch; the longest first, as
# in “patience diff” (Bram Cohen), which takes lines.
LENGTHS = (16, 4, 1)
MOST_LEVELS = 6
MOST_WORDS = 300_000
# What is left between them is compared word by word with every word, as long as it is short: in
# pairs of words, of one stretch and of all.
MOST_PAIRS = 20_000
MOST_PAIRS_IN_ALL = 5_000_000

# Where it begins in each text, and its length.
Block = tuple[int, int, int]
# From and to in the one text, and in the other.
Span = tuple[int, int, int, int]
Opcode = tuple[bool, int, int, int, int]


def aligned(first: Sequence[str], second: Sequence[str]) -> Iterator[Opcode]:
    """Yield stretch after stretch: whether it is the same, from and to in `first`, in `second`.

    What cannot be told apart in bounded work is one stretch that differs.
    """
    at, other = 0, 0
    for begin, other_begin, length in [*_blocks(first, second), (len(first), len(second), 0)]:
        if (at, other) != (begin, other_begin):
            yield False, at, begin, other, other_begin
        at, other = begin + length, other_begin + length
        if length:
            yield True, begin, at, other_begin, other


def _blocks(first: Sequence[str], second: Sequence[str]) -> list[Block]:
    """Return the stretches that both have, in their order; none touches the next."""
    found: list[Block] = []
    pairs = MOST_PAIRS_IN_ALL
    waiting: list[tuple[Span, int]] = [((0, len(first), 0, len(second)), 0)]
    while waiting:
        span, level = waiting.pop()
        span = _within(first, second, span, found)
        start, end, other_start, other_end = span
        lengths = end - start, other_end - other_start
        if not min(lengths):
            continue
        work = lengths[0] * lengths[1]
        if work <= min(MOST_PAIRS, pairs):
            pairs -= work
            found += _by_pairs(first, second, span)
        elif level < MOST_LEVELS and (anchors := _anchors(first, second, span)):
            found += anchors
            waiting += [(gap, level + 1) for gap in _gaps(span, anchors)]
        elif lengths[0] == lengths[1]:
            found += [
                (start + each, other_start + each, 1)
                for each in range(lengths[0])
                if first[start + each] == second[other_start + each]
            ]
    return _joined(sorted(found))


def _within(first: Sequence[str], second: Sequence[str], span: Span, found: list[Block]) -> Span:
    """Return the span without the words with which both begin and end; those are added."""
    start, end, other_start, other_end = span
    most = min(end - start, other_end - other_start)
    same = 0
    while same < most and first[start + same] == second[other_start + same]:
        same += 1
    if same:
        found.append((start, other_start, same))
    start, other_start, most = start + same, other_start + same, most - same
    same = 0
    while same < most and first[end - same - 1] == second[other_end - same - 1]:
        same += 1
    if same:
        found.append((end - same, other_end - same, same))
    return start, end - same, other_start, other_end - same


def _by_pairs(first: Sequence[str], second: Sequence[str], span: Span) -> list[Block]:
    start, end, other_start, other_end = span
    matcher = SequenceMatcher(None, first[start:end], second[other_start:other_end], autojunk=False)
    return [
        (start + block.a, other_start + block.b, block.size)
        for block in matcher.get_matching_blocks()
        if block.size
    ]


def _anchors(first: Sequence[str], second: Sequence[str], span: Span) -> list[Block]:
    """Return the stretches of one length that each text has once, as many as are in one order."""
    start, end, other_start, other_end = span
    if max(end - start, other_end - other_start) > MOST_WORDS:
        return []
    for length in LENGTHS:
        here = _once(first, start, end, length)
        there = _once(second, other_start, other_end, length)
        both = sorted((here[each], there[each]) for each in here.keys() & there.keys())
        anchors = _apart(_in_order(both), length)
        # By their hashes they were found.
        if anchors := [
            (begin, other, _)
            for begin, other, _ in anchors
            if first[begin : begin + length] == second[other : other + length]
        ]:
            return anchors
    return []


def _once(words: Sequence[str], start: int, end: int, length: int) -> dict[object, int]:
    """Return where the stretches begin that are there only once."""
    at: dict[object, int] = {}
    for begin in range(start, end - length + 1):
        stretch = hash(tuple(words[begin : begin + length])) if length > 1 else words[begin]
        at[stretch] = -1 if stretch in at else begin
    return {stretch: begin for stretch, begin in at.items() if begin >= 0}


def _in_order(both: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as many pairs as possible whose second number grows too (they come by the first)."""
    tails: list[int] = []
    last: list[int] = []
    before: list[int | None] = []
    for number, (_, other) in enumerate(both):
        place = bisect_left(tails, other)
        tails[place : place + 1] = [other]
        last[place : place + 1] = [number]
        before.append(last[place - 1] if place else None)
    chain: list[tuple[int, int]] = []
    number_or_none = last[-1] if last else None
    while number_or_none is not None:
        chain.append(both[number_or_none])
        number_or_none = before[number_or_none]
    return chain[::-1]


def _apart(chain: Sequence[tuple[int, int]], length: int) -> list[Block]:
    """Return the pairs as blocks, without those that reach into the one before."""
    found: list[Block] = []
    end = other_end = -1
    for begin, other in chain:
        if begin >= end and other >= other_end:
            found.append((begin, other, length))
            end, other_end = begin + length, other + length
    return found


def _gaps(span: Span, blocks: Sequence[Block]) -> Iterator[Span]:
    start, end, other_start, other_end = span
    for begin, other, length in blocks:
        yield start, begin, other_start, other
        start, other_start = begin + length, other + length
    yield start, end, other_start, other_end


def _joined(blocks: Sequence[Block]) -> list[Block]:
    found: list[Block] = []
    for begin, other, length in blocks:
        if found:
            at, other_at, before = found[-1]
            if (at + before, other_at + before) == (begin, other):
                found[-1] = (at, other_at, before + length)
                continue
        found.append((begin, other, length))
    return found
