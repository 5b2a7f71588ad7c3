"""The options of an examination: a command has them before it loads what they are for."""

from argparse import SUPPRESS, ArgumentParser

from opsmigrate.conf import OLD_RELEASE, REHEARSALS
from opsmigrate.management.argument_types import positive_float
from opsmigrate.management.shared_arguments import add_trust_code


def add_examination(parser: ArgumentParser) -> None:
    """Add the arguments of migrate, and the options of an examination."""
    parser.add_argument("app_label", nargs="?", help="as for migrate")
    parser.add_argument(
        "migration_name", nargs="?", help="as for migrate: the beginning of a name, or zero"
    )
    parser.add_argument("--fake", action="store_true", help="as for migrate")
    parser.add_argument("--fake-initial", action="store_true", help="as for migrate")
    parser.add_argument("--run-syncdb", action="store_true", help="as for migrate")
    parser.add_argument(
        "--rehearse",
        choices=REHEARSALS,
        help="run migrate on a copy: schema (with the rows of small tables), clone (with all "
        "rows), or kept (the copy of backup_db --keep-scratch); auto: schema or clone, "
        "by REHEARSE_MAX_BYTES (default: the setting REHEARSE, else auto)",
    )
    parser.add_argument(
        "--rehearse-on",
        metavar="ALIAS",
        help="make the copy on the server of this alias (default: the setting REHEARSE_ON, "
        "else a temporary embedded server if one fits, else the live server)",
    )
    parser.add_argument(
        "--approval", metavar="TEXT", help="who approved a copy on a production server"
    )
    add_trust_code(parser)
    parser.add_argument(
        "--old-release",
        choices=OLD_RELEASE,
        help="how to weigh what the release that runs now can no longer read or write after "
        "migrate: error, warn, or off to not look (default: the setting OLD_RELEASE, else "
        "warn)",
    )
    parser.add_argument(
        "--require-backup",
        type=positive_float,
        metavar="HOURS",
        help=(
            "refuse without a verified backup of this database with its present migrations, "
            "at most HOURS old"
        ),
    )
    parser.add_argument(
        "--accept-undecided",
        action="store_true",
        help="count what is undecided as passed",
    )
    # As version 0.1.0 called it.
    parser.add_argument(
        "--accept-unexamined",
        action="store_true",
        dest="accept_undecided",
        help=SUPPRESS,
    )
