"""What the fence reads of a statement is what the server reads, whatever its values are."""

import pytest
from django.db import connections

from opsmigrate.preflight.rehearsal.sent_text import sent_texts

VALUES_ALONE = ("SELECT %s", "SELECT 5 %% 2, %s", "UPDATE t SET a = %s WHERE b LIKE 'x%%'")
# A driver puts quotes around a value, and those end what the placeholder is in.
ENDED = (
    "SELECT '%s'",
    "SELECT 1 /* %s */",
    "SELECT 1 -- %s",
    'SELECT 1 AS "%s"',
    "SELECT $$%s$$",
    "SELECT $1, '%s'",
)


@pytest.mark.django_db
def test_only_values_that_stay_values_are_left_out_of_the_text() -> None:
    connection = connections["default"]
    value = "|| pg_backend_pid() ||"
    with connection.cursor() as cursor:
        raw = cursor.cursor
        sends_texts = getattr(raw, "mogrify", None) is not None

        for query in VALUES_ALONE:
            [text] = sent_texts(query, [value], raw)
            assert "$1" in text
            assert value not in text
        for query in ENDED if sends_texts else ():
            [text] = sent_texts(query, [value], raw)
            assert value in text, query
