"""Put an empty database in the state in which the staging database was found."""

import os
import secrets
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.test.utils import override_settings

from treasury.legacy.rows import insert_rows

PASSWORD_VARIABLE = "TREASURY_STAGING_PASSWORD"  # noqa: S105 - the name of a variable
USERNAME = "staging"

# What an extension brings along (PostGIS's spatial_ref_sys, say) does not make a database used.
USER_RELATIONS = """
SELECT n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY 1 LIMIT 1
"""


class Command(BaseCommand):
    """Migrate to the older revision of treasury.0001, and fill it, in one transaction."""

    help = (
        "Put an empty PostgreSQL database in the state of the story: every other app migrated, "
        "treasury at 0001 as an older revision had it (no payment_id), payments, and a user "
        f"{USERNAME!r} whose password is ${PASSWORD_VARIABLE}, or generated and printed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --rows and --database."""
        parser.add_argument(
            "--rows", type=int, default=20_000, metavar="N", help="payments (default: %(default)s)"
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="alias of the empty database (default: %(default)s)",
        )

    def handle(self, *args: Any, rows: int, database: str, **options: Any) -> None:
        """Do it, or say in one sentence why not; whatever goes wrong, nothing stays behind."""
        if rows < 0:
            raise CommandError(f"--rows must not be negative, and {rows} is.")
        if connections[database].vendor != "postgresql":
            raise CommandError(
                f"make_legacy_staging needs PostgreSQL, and {database!r} is "
                f"{connections[database].display_name}."
            )
        started = time.monotonic()
        password = os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(12)
        try:
            with transaction.atomic(using=database):
                refuse_if_not_empty(database)
                migrate_to_legacy(database)
                insert_rows(database, rows)
                create_user(database, password)
        except Error as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"Nothing was written; PostgreSQL said: {reason}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing was written.", returncode=130) from None
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{rows:,} payments and user {USERNAME!r} in "
                f"{connections[database].settings_dict['NAME']!r}, treasury at 0001 without "
                f"payment_id ({time.monotonic() - started:.1f} s)."
            )
        if not os.environ.get(PASSWORD_VARIABLE):
            self.stdout.write(f"Password of {USERNAME!r}, shown only now: {password}")


def refuse_if_not_empty(database: str) -> None:
    """Raise if any schema but PostgreSQL's own holds a table or view."""
    with connections[database].cursor() as cursor:
        cursor.execute(USER_RELATIONS)
        found = cursor.fetchone()
    if found:
        name = connections[database].settings_dict["NAME"]
        raise CommandError(
            f"Database {name!r} is not empty (it has {found[0]}); "
            "make_legacy_staging needs a freshly created one, and has written nothing."
        )


def migrate_to_legacy(database: str) -> None:
    """Run `migrate` with the older revision of treasury's migrations on the disk."""
    modules = {**settings.MIGRATION_MODULES, "treasury": "treasury.legacy.migrations"}
    with override_settings(MIGRATION_MODULES=modules):
        call_command("migrate", database=database, interactive=False, verbosity=0)


def create_user(database: str, password: str) -> None:
    """Make the person who uses the staging site and its admin."""
    get_user_model()._default_manager.db_manager(database).create_superuser(
        username=USERNAME, email="staging@example.com", password=password
    )
