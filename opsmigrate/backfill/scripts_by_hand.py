"""The scripts that bring a plain table to the same schema without Python, written out."""

from pathlib import Path

from opsmigrate.errors import UsageError
from opsmigrate.files import require_writable, write_atomically

NAMES = ("add_payment_id.sql", "add_payment_id.sh", "add_payment_id.ps1")
EXECUTABLE = ("add_payment_id.sh",)
# An installed package has them beside this file; a source tree in scripts/.
INSTALLED = Path(__file__).resolve().parent / "scripts"
SOURCE = Path(__file__).resolve().parent.parent.parent / "scripts"


def write_scripts(folder: Path) -> tuple[Path, ...]:
    """Write the scripts into a folder that exists, and return their files.

    Raises UsageError where one cannot be written, or another file has its name.
    """
    found = INSTALLED if INSTALLED.is_dir() else SOURCE
    texts = {folder / name: (found / name).read_text(encoding="utf-8") for name in NAMES}
    for file, text in texts.items():
        _require_place(file, text)
    for file, text in texts.items():
        write_atomically(file, text, mode=0o755 if file.name in EXECUTABLE else 0o644)
    return tuple(texts)


def _require_place(file: Path, text: str) -> None:
    require_writable(file, by="a folder that exists with --write-scripts")
    if file.exists() and file.read_bytes() != text.encode():
        raise UsageError(
            f"cannot write {file}: another file of this name is there",
            id="cannot-write-output",
            hint="name another folder with --write-scripts, or remove that file",
        )
