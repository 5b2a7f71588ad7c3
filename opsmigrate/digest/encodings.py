"""PostgreSQL's encodings by the names that Python knows them by."""

import codecs
import re


def python_codec(encoding: str) -> str:
    """Return Python's name of a server encoding, `utf-8` where it has none (SQL_ASCII)."""
    name = re.sub(r"^WIN", "cp", encoding)
    name = re.sub(r"^KOI8([RU])$", r"koi8_\1", name)
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "utf-8"
