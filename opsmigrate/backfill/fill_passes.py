"""How the rows of a block are shared out among the passes that go over it."""

from dataclasses import dataclass

# A full page has no room for new versions of all its rows. But where a part of them is done, and
# the dead versions are pruned, the next part stays in the page and touches no index (PostgreSQL
# documentation, Heap-Only Tuples). More passes keep more rows in their pages, and cost more reads.
PASSES = 9
BLOCK_BYTES = 8192
# A new version is longer by the value, a UUID say, and by one more pointer to it.
GROWTH_BYTES = 20
# At 1 every row of a pass would find room, but for the first one, which would be so large that what
# it adds to the indexes splits their pages; at 0 all are as large, and fewer rows find room.
SHRINKING = 0.4
# Only the last byte of a row's number in its block is looked at: cheaper to get at than the text.
MOST_SLOTS = 255


@dataclass(frozen=True)
class FillPass:
    """One pass: the rows whose number in their block, modulo `slots`, is less than `below`.

    Those of the passes before have their value by then; `share` is the part that is left to this.
    """

    slots: int
    below: int
    share: float

    @property
    def takes_all(self) -> bool:
        """Return whether the pass takes every row that has no value yet."""
        return self.below >= self.slots


EVERY_ROW = FillPass(slots=1, below=1, share=1.0)


def passes_over(rows_per_block: float) -> tuple[FillPass, ...]:
    """Return the passes to make over such blocks, the last of which takes all that is left.

    A pass finds as much room as the versions take that the one before it has left behind. The new
    ones are longer, so each pass is smaller than the one before. There are no more passes than a
    block has rows.
    """
    slots = max(1, min(round(rows_per_block), MOST_SLOTS))
    row_bytes = BLOCK_BYTES / rows_per_block
    ratio = (row_bytes / (row_bytes + GROWTH_BYTES)) ** SHRINKING
    passes, done = [], 0
    for number in range(1, PASSES + 1):
        below = round(slots * (1 - ratio**number) / (1 - ratio**PASSES))
        if below > done:
            passes.append(FillPass(slots, below, (below - done) / slots))
            done = below
    return tuple(passes)
