"""As many models as BENCH_TABLES says, of nine columns each."""

from __future__ import annotations

import os
from typing import Any

from django.db import models


def fields_of(number: int) -> list[tuple[str, models.Field[Any, Any]]]:
    """Return fields as a usual model has them; each model but the first points to another."""
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20, db_index=True)),
        ("slug", models.SlugField(unique=True)),
        ("count", models.IntegerField(null=True)),
        ("price", models.DecimalField(max_digits=9, decimal_places=2)),
        ("made", models.DateTimeField(auto_now_add=True)),
        ("size", models.PositiveIntegerField()),
        ("open", models.BooleanField()),
    ]
    if number:
        to = f"many.M{number // 2}"
        fields.append(("other", models.ForeignKey(to, models.CASCADE, related_name="+")))
    return fields


for number in range(int(os.environ["BENCH_TABLES"])):
    attributes = {"__module__": __name__, **dict(fields_of(number))}
    globals()[f"M{number}"] = type(f"M{number}", (models.Model,), attributes)
