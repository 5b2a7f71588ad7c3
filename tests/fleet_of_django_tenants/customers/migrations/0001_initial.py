"""The tenants and their domains."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """As makemigrations writes it, without the validators."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Client",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("schema_name", models.CharField(db_index=True, max_length=63, unique=True)),
                ("name", models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            "Domain",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("domain", models.CharField(db_index=True, max_length=253, unique=True)),
                ("is_primary", models.BooleanField(db_index=True, default=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        "customers.Client",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="domains",
                    ),
                ),
            ],
        ),
    ]
