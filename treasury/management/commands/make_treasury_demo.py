"""Make something to see on the treasury pages."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.utils import timezone

from treasury import demo
from treasury.models import Alert, DailyCashPosition, Dashboard


class Command(BaseCommand):
    """Dashboards, cash positions and alerts; a second run adds nothing twice."""

    help = (
        "Make two dashboards, 30 days of cash positions from the payments, alert rules and alerts. "
        "Safe to repeat: positions are brought up to date, the rest stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --database."""
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="alias of the migrated database (default: %(default)s)",
        )

    def handle(self, *args: Any, database: str, **options: Any) -> None:
        """Make all of it in one transaction, or say in one sentence why not."""
        today = timezone.localdate()
        try:
            with transaction.atomic(using=database):
                demo.make_dashboards(database)
                demo.make_positions(database, today)
                demo.make_alerts(database, today)
        except Error as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"Nothing was written; run `migrate` first if you have not ({reason})."
            ) from error
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{Dashboard.objects.using(database).count()} dashboards, "
                f"{DailyCashPosition.objects.using(database).count()} cash positions, "
                f"{Alert.objects.using(database).count()} alerts."
            )
