"""What was found in a backup, held against its manifest: a finding for each difference."""

from collections.abc import Iterator, Mapping

from opsmigrate.backup.sequences import is_between
from opsmigrate.counted import counted
from opsmigrate.digest.lines import TableDigest
from opsmigrate.digest.server import LARGE_OBJECTS
from opsmigrate.manifest import Manifest
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import command

AGAIN = (command("python manage.py backup_db"),)


def content_differences(
    manifest: Manifest,
    tables: Mapping[str, TableDigest],
    sequences: Mapping[str, int | None],
    large_objects: TableDigest,
) -> tuple[Finding, ...]:
    """Return what differs, table by table and sequence by sequence."""
    return (
        *_rows(manifest, tables),
        *_values(manifest, tables, large_objects),
        *_sequences(manifest, sequences),
    )


def broken(*, id: str, message: str) -> Finding:
    """Return a finding that says that a backup is not good."""
    return Finding(id=id, severity=Severity.ERROR, message=message, steps=AGAIN)


def _rows(manifest: Manifest, found: Mapping[str, TableDigest]) -> Iterator[Finding]:
    for table, rows in manifest.tables.items():
        seen = found.get(table)
        if seen is None or seen.rows != rows:
            yield Finding(
                id="rows-differ",
                severity=Severity.ERROR,
                message=f"{table} had {counted(rows, 'row')} when it was backed up; the backup has "
                + (f"{seen.rows:,}" if seen else "no such table"),
                steps=AGAIN,
                table=table,
                evidence={"source": rows, "backup": seen.rows if seen else None},
            )
    known = {*manifest.tables, *manifest.excluded}
    for table in sorted(found.keys() - known):
        yield Finding(
            id="rows-differ",
            severity=Severity.ERROR,
            message=f"the backup has rows of {table}, which its manifest does not list",
            steps=AGAIN,
            table=table,
            evidence={"source": None, "backup": found[table].rows},
        )


def _values(
    manifest: Manifest, found: Mapping[str, TableDigest], large_objects: TableDigest
) -> Iterator[Finding]:
    for table, digest in manifest.digests.items():
        seen = found.get(table)
        if seen and seen.rows == manifest.tables.get(table) and seen.digest != digest:
            yield Finding(
                id="values-differ",
                severity=Severity.ERROR,
                message=f"{table} has the right number of rows ({counted(seen.rows, 'row')}) in "
                "the backup, but not the values that it had when it was backed up",
                steps=AGAIN,
                table=table,
                evidence={"source": digest, "backup": seen.digest},
            )
    recorded = manifest.large_objects
    if recorded and (large_objects.rows, large_objects.digest) != (
        recorded["chunks"],
        recorded["digest"],
    ):
        yield Finding(
            id="values-differ",
            severity=Severity.ERROR,
            message=f"the {LARGE_OBJECTS} of the backup differ from those that were backed up",
            steps=AGAIN,
            evidence={"source": dict(recorded), "backup": large_objects.digest},
        )


def _sequences(manifest: Manifest, found: Mapping[str, int | None]) -> Iterator[Finding]:
    for name, bracket in manifest.sequences.items():
        if name not in found or not is_between(found[name], bracket):
            said = f"is {found[name]}" if name in found else "does not exist"
            yield Finding(
                id="sequence-differs",
                severity=Severity.ERROR,
                message=f"the sequence {name} was between {bracket[0]} and {bracket[1]} when it "
                f"was backed up; in the backup it {said}",
                steps=AGAIN,
                evidence={"source": list(bracket), "backup": found.get(name)},
            )
