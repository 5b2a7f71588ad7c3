"""Options that several commands have."""

from argparse import ArgumentParser


def add_trust_code(parser: ArgumentParser) -> None:
    """Add --trust-code."""
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="let code of other roles (checks, defaults, functions) run with the privileges of "
        "the superuser that restores; without it, an unprivileged role restores, or the "
        "restore is refused",
    )
