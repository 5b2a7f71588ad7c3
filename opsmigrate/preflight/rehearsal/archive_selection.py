"""What of an archive's contents (pg_restore --list) a copy gets, and what it then lacks."""

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
# Event triggers are made later (rehearsed_event_triggers.py): they might refuse what makes the
# copy.
NEVER = ("USER MAPPING ", "SUBSCRIPTION ", "EVENT TRIGGER ")
NEVER_ABOUT = ("COMMENT - EVENT TRIGGER ", "SECURITY LABEL - EVENT TRIGGER ")
COMMENT = "COMMENT - "
PUBLICATION, WRAPPER, EXTENSION = "PUBLICATION ", "FOREIGN DATA WRAPPER ", "EXTENSION "
FOREIGN_KEY, SCHEMA = "FK CONSTRAINT ", "SCHEMA "


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
        words = words_of(entry)
        about = words.removeprefix(COMMENT)
        name = _extension(about)
        unquoted = entry.replace('"', "")
        never = words.startswith(NEVER + NEVER_ABOUT) or any(key in entry for key in dangling)
        if name in SCHEDULERS:
            gaps.add(SCHEDULERS[name])
        elif name in OBSERVERS:
            gaps.add(name)
        elif any(about.startswith(kind) and each in unquoted for kind, each in left_out):
            continue
        elif not never:
            selected.append(entry)
    return selected, tuple(sorted(gaps))


def words_of(entry: str) -> str:
    """Return an entry without its numbers, as in "TABLE public t owner"; "" for a comment."""
    number, *others = entry.split(" ", 3)
    return others[2] if number.rstrip(";").isdigit() and len(others) == 3 else ""


def _extension(words: str) -> str | None:
    if not words.startswith(EXTENSION):
        return None
    name, *_ = words.removeprefix(EXTENSION).removeprefix("- ").split()
    return name
