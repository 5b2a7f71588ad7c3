"""Extensions whose databases pg_restore alone does not restore."""

from collections.abc import Iterable

# What their documentation has one call before and after; it also stops their workers meanwhile.
AROUND = {"timescaledb": ("timescaledb_pre_restore()", "timescaledb_post_restore()")}
HINT = (
    "restore it by hand, as the documentation of the extension says; a backup can be taken, with "
    "--verify archive"
)


def why_not_restored(extensions: Iterable[str]) -> str | None:
    """Return why such a database cannot be restored here, None where it can."""
    for name in sorted(AROUND.keys() & set(extensions)):
        before, after = AROUND[name]
        return (
            f"the extension {name} wants {before} called before a restore and {after} after it, "
            "which is not done here"
        )
    return None
