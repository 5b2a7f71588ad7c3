"""Where a report goes besides stdout: the files of --output and --also."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from opsmigrate.errors import UsageError
from opsmigrate.files import require_writable, write_together
from opsmigrate.report import Report

# A report names tables, and may quote their rows.
PRIVATE = 0o600


def require_files(
    output: str | None, also: Sequence[str], formats: Sequence[str]
) -> dict[Path, str]:
    """Return the file and format of each --also; raise UsageError where one cannot be written.

    `output` is the file of --output, which must be another one.
    """
    if output:
        require_writable(Path(output))
    found: dict[Path, str] = {}
    for asked in also:
        name, equals, file = asked.partition("=")
        if name not in formats or not equals or not file:
            raise UsageError(
                f"--also takes FORMAT=FILE, where FORMAT is one of {', '.join(formats)}; "
                f"{asked!r} is not of this form",
                id="bad-also",
                hint="give, for example, --also sarif=preflight.sarif",
            )
        if Path(file) in found or file == output:
            raise UsageError(
                f"two reports cannot both be written to {file}",
                id="conflicting-options",
                hint="give each --also, and --output, a file of its own",
            )
        require_writable(Path(file), by="a file in a folder that exists with --also")
        found[Path(file)] = name
    return found


def write_files(texts: Mapping[Path, str]) -> None:
    """Write reports, all whole or none, each readable by its owner only."""
    write_together({file: text.rstrip("\n") + "\n" for file, text in texts.items()}, mode=PRIVATE)


def rendered(report: Report, name: str) -> str:
    """Return the report in a format, for a reader without a terminal."""
    # Loaded only here: a run that ends on a terminal does not need it.
    from opsmigrate.formats.rendering import RENDERERS

    return RENDERERS[name](report)


def end_step(report: Report) -> None:
    """Add what a step of GitHub Actions says after its annotations: its summary."""
    from opsmigrate.formats.github import append_summary

    append_summary(report)
