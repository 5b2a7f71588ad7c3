"""Options that several commands have."""

from argparse import ArgumentParser

from django.db import DEFAULT_DB_ALIAS


def add_to_all(parser: ArgumentParser) -> None:
    """Add the options that every command has."""
    parser.add_argument(
        "--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="the alias in DATABASES"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="readable text (default), or one JSON object",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write the result to FILE, nothing to stdout"
    )
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning"),
        default="error",
        help="the least severe finding that makes the verdict failed",
    )
    # As migrate takes it, so that a script may hand the same arguments to each.
    parser.add_argument(
        "--noinput",
        "--no-input",
        action="store_true",
        dest="no_input",
        help="ask nothing; only restore_db asks, and accepts then whatever is lost",
    )


def add_trust_code(parser: ArgumentParser) -> None:
    """Add --trust-code."""
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="let what other roles wrote (checks, defaults, functions) run with the rights of the "
        "superuser that restores it; without it, it is restored by a role that is none, or not",
    )
