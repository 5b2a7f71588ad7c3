"""How values and definitions are written as text: the same whoever asks, and read back so.

A role or a database may set each of these; pg_dump sets others for itself (documentation of
pg_dump and of the client connection defaults). They are given to its session at the start.
"""

PRINTING = {
    "timezone": "UTC",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    # What money looks like; "1.234,00 €" is another number to a server that speaks otherwise.
    "lc_monetary": "C",
}
# How text is read, where pg_restore leaves it to the session.
READING = {
    "array_nulls": "on",
    "transform_null_equals": "off",
    "intervalstyle": "postgres",
    "datestyle": "ISO,YMD",
}
