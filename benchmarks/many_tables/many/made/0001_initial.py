"""The migration that makes all tables."""

import os

from django.db import migrations

from many.models import fields_of


class Migration(migrations.Migration):
    """Creates each model as its class has it."""

    operations = [
        migrations.CreateModel(f"M{number}", fields_of(number))
        for number in range(int(os.environ["BENCH_TABLES"]))
    ]
