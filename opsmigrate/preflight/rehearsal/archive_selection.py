"""What of an archive's contents (pg_restore --list) a copy gets, and what it then lacks."""

import re
from collections.abc import Iterable, Sequence

# Extension -> the schema of what they bring. They run jobs of their own, and some exist in one
# database of a server only.
SCHEDULERS = {"pg_cron": "cron", "pgagent": "pgagent", "pg_timetable": "timetable"}
# They look on, and nothing depends on them; only a superuser may create them.
OBSERVERS = frozenset(
    {
        "amcheck",
        "auto_explain",
        "hypopg",
        "pg_buffercache",
        "pg_prewarm",
        "pg_repack",
        "pg_stat_kcache",
        "pg_stat_statements",
        "pg_visibility",
        "pgaudit",
        "pgstattuple",
    }
)
ENTRY = r"\d+; \d+ \d+ "
# Event triggers are made later (rehearsed_event_triggers.py): they might refuse what makes the
# copy.
NEVER = re.compile(
    ENTRY + r"(?:USER MAPPING|SUBSCRIPTION|(?:(?:COMMENT|SECURITY LABEL) - )?EVENT TRIGGER)\b"
)
PUBLICATION = re.compile(ENTRY + r"(?:COMMENT - )?PUBLICATION\b")
WRAPPER = re.compile(ENTRY + r"(?:COMMENT - )?FOREIGN DATA WRAPPER\b")
FOREIGN_KEY = re.compile(ENTRY + r"FK CONSTRAINT\b")
SCHEMA = re.compile(ENTRY + r"SCHEMA\b")
EXTENSION = re.compile(ENTRY + r"(?:COMMENT - )?EXTENSION (?:- )?(?P<name>\S+)")


def wanted_entries(
    entries: Iterable[str],
    absent_keys: Sequence[tuple[str, str, str]],
    publications: Sequence[str] = (),
    wrappers: Sequence[str] = (),
) -> tuple[list[str], tuple[str, ...]]:
    """Return the entries to restore, and the names by which SQL would ask for what is left out.

    `absent_keys` are foreign keys (schema, table, name) to tables that are not in the archive,
    `publications` those that the role may not create, `wrappers` those that are there already.
    """
    dangling = tuple(f" FK CONSTRAINT {' '.join(key)} " for key in absent_keys)
    # What a comment is on, its entry has as SQL has it: in double quotes.
    left_out = [(PUBLICATION, f" {name} ") for name in publications]
    left_out += [(WRAPPER, f" {name} ") for name in wrappers]
    selected, gaps = [], set()
    for entry in entries:
        extension = EXTENSION.match(entry)
        name = extension["name"] if extension else None
        if name in SCHEDULERS:
            gaps.add(SCHEDULERS[name])
        elif name in OBSERVERS:
            gaps.add(name)
        elif any(kind.match(entry) and each in entry.replace('"', "") for kind, each in left_out):
            continue
        elif not NEVER.match(entry) and not any(key in entry for key in dangling):
            selected.append(entry)
    return selected, tuple(sorted(gaps))
