"""The limit of columns: a dropped one keeps its number in the table for ever."""

# MaxHeapAttributeNumber in access/htup_details.h; PostgreSQL documentation, Limits.
MOST_COLUMNS = 1600
COPY_IT = (
    "copy the rows into a new table (CREATE TABLE … LIKE … INCLUDING ALL), rename that to the old "
    "name, and recreate its foreign keys, triggers and privileges; VACUUM FULL does not help"
)
