"""What is known of the site that a run serves itself, and what went wrong in its code."""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Crash:
    """An exception that a view let pass; `wrote` where it is that it was not let write."""

    path: str
    words: str
    wrote: bool


@dataclass(kw_only=True)
class Served:
    """A site that this run serves; `secure` where its code is told that it is asked over TLS."""

    secure: bool
    crashes: list[Crash] = field(default_factory=list)

    def crash_behind(self, words: str) -> Crash | None:
        """Return the last crash at a path that stands in the words of a failure, or None."""
        told = (crash for crash in reversed(self.crashes) if _names(words, crash.path))
        return next(told, None)


def _names(words: str, path: str) -> bool:
    return re.search(rf"{re.escape(path)}(?![\w/-])", words) is not None
