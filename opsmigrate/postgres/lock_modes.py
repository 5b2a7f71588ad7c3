"""Lock modes, from the weakest to the strongest, and what each keeps others from."""

# PostgreSQL's documentation, Explicit Locking, Table 13.2.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
ROW_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE = MODES[1:6]
EXCLUSIVE, ACCESS_EXCLUSIVE = MODES[6:]
# The same table: the modes that each has to wait for.
_CONFLICTS = {
    "ACCESS SHARE": MODES[7:],
    "ROW SHARE": MODES[6:],
    "ROW EXCLUSIVE": MODES[4:],
    "SHARE UPDATE EXCLUSIVE": MODES[3:],
    "SHARE": ("ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", *MODES[5:]),
    "SHARE ROW EXCLUSIVE": MODES[2:],
    "EXCLUSIVE": MODES[1:],
    "ACCESS EXCLUSIVE": MODES,
}
_IN_PG_LOCKS = {mode: f"{mode.title().replace(' ', '')}Lock" for mode in MODES}
_OF_PG_LOCKS = {name: mode for mode, name in _IN_PG_LOCKS.items()}


def blocks(mode: str) -> list[str]:
    """Return what the mode keeps others from: reads, writes; DDL and VACUUM are not named."""
    if mode == ACCESS_EXCLUSIVE:
        return ["reads", "writes"]
    return ["writes"] if mode in (SHARE, SHARE_ROW_EXCLUSIVE, EXCLUSIVE) else []


def stronger(one: str | None, other: str) -> str:
    """Return the stronger of two modes."""
    return other if one is None else max(one, other, key=MODES.index)


def mode_of(name: str) -> str:
    """Return the mode that pg_locks calls `AccessExclusiveLock`; a mode stays as it is."""
    return _OF_PG_LOCKS.get(name, name)


def pg_locks_name(mode: str) -> str:
    """Return how pg_locks calls a mode; a name of pg_locks stays as it is."""
    return _IN_PG_LOCKS.get(mode, mode)


def conflict(wanted: str, held: str) -> bool:
    """Return whether who wants one mode has to wait for who holds the other, as pg_locks has it."""
    return mode_of(held) in _CONFLICTS[wanted]
