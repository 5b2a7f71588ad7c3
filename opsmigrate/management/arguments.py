"""Options that several commands have."""

from argparse import ArgumentParser


def add_trust_code(parser: ArgumentParser) -> None:
    """Add --trust-code."""
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="let what other roles wrote (checks, defaults, functions) run with the rights of the "
        "superuser that restores it; without it, it is restored by a role that is none, or not",
    )
