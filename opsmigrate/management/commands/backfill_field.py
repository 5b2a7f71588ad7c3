"""Add, fill and constrain the column of any field; seed_payment_id by its general name."""

from opsmigrate.management.commands.seed_payment_id import Command as SeedCommand


class Command(SeedCommand):
    """backfill_field: online, idempotent, resumable."""

    help = "Add, fill and constrain the column of a field, while the application writes."
