"""Options that several commands have."""

from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS

from opsmigrate.files import require_writable
from opsmigrate.management.argument_types import positive_float


def add_to_all(
    parser: ArgumentParser, formats: Sequence[str], *, one_database: bool = True
) -> None:
    """Add the options that every command has; `formats` are those that its report can have.

    Only what works on `one_database` can be given its alias.
    """
    parser.set_defaults(database=DEFAULT_DB_ALIAS)
    if one_database:
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="the alias in DATABASES"
        )
    parser.add_argument(
        "--format",
        choices=formats,
        default="text",
        help="the format of the report: text (default), or one JSON object"
        + (", or what reviewers see" if len(formats) > 2 else ""),
    )
    if len(formats) > 2:
        parser.add_argument(
            "--also",
            action="append",
            default=[],
            metavar="FORMAT=FILE",
            help="write the report in another format to FILE as well; may be given several times",
        )
    parser.add_argument(
        "--output", metavar="FILE", help="write the report to FILE, and nothing to stdout"
    )
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning"),
        default="error",
        help="treat findings of this severity or worse as failure",
    )
    # As migrate takes it, so that a script may hand the same arguments to each.
    parser.add_argument(
        "--noinput",
        "--no-input",
        action="store_true",
        dest="no_input",
        help="ask nothing; only restore_db asks, and it then accepts any loss",
    )


def add_trust_code(parser: ArgumentParser) -> None:
    """Add --trust-code."""
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="let code of other roles (checks, defaults, functions) run with the privileges of "
        "the superuser that restores; without it, an unprivileged role restores, or the "
        "restore is refused",
    )


def add_lock_timeout(parser: ArgumentParser) -> None:
    """Add --lock-timeout."""
    parser.add_argument(
        "--lock-timeout",
        type=positive_float,
        metavar="SECONDS",
        help="how long each try waits for a lock (default: the setting LOCK_TIMEOUT_SECONDS)",
    )


def add_result_file(parser: ArgumentParser, default: str) -> None:
    """Add --result: the file that run_uat --include reads."""
    parser.add_argument(
        "--result",
        type=Path,
        default=Path(default),
        metavar="FILE",
        help=f"write what run_uat --include reads to FILE (default: {default})",
    )


def require_result_file(file: Path) -> None:
    """Make the folder of the file; raise UsageError where it cannot be written."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    require_writable(file, by="a file in a folder that can be written with --result")
