"""The schemas beside a tenant's own that are nothing to it: other tenants, in the same database.

What a command learns of one tenant would else take longer with each further one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

# A dollar sign may also be a quote, and any other sign is written in more than one way.
WORD = re.compile(r"\w+")
# With escapes any name can be written without its letters.
ESCAPED = re.compile(r"""\bu&["']|\be'.*\\""", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Neighbours:
    """The schemas that are left out, and what they reference outside.

    `referenced` has the names of tables, of the indexes in them that foreign keys rest on, and of
    what else reaches rows of these tables: parents, views, tables with rules.
    `read` are the oids of the schemas that are read, none where none is left out.
    """

    schemas: frozenset[str] = frozenset()
    referenced: frozenset[str] = frozenset()
    read: tuple[int, ...] = ()

    def named_in(self, text: str) -> bool:
        """Return whether a text has all words of one of the names, wherever."""
        words, (alone, others) = words_of(text), self._words
        named = not words.isdisjoint(alone) or any(each <= words for each in others)
        return named or ESCAPED.search(text) is not None

    @cached_property
    def _words(self) -> tuple[frozenset[str], tuple[frozenset[str], ...]]:
        """Return the names that are one word, looked up all at once, and the words of others."""
        names = [words_of(name) for name in (*self.schemas, *self.referenced)]
        alone = frozenset().union(*(each for each in names if len(each) == 1))
        return alone, tuple(each for each in names if len(each) != 1)


NOBODY = Neighbours()


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, whatever signs are around them, in small letters."""
    return frozenset(WORD.findall(text.casefold()))
