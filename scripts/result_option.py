"""The options of the scripts as those of the commands: their --output is what --result is there."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence


def as_result(argv: Sequence[str]) -> list[str]:
    """Return the words with --result for --output, as the scripts called it before."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--output")
    known, others = parser.parse_known_args(list(argv))
    return [*others, *([] if known.output is None else ["--result", known.output])]
