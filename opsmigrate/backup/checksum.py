"""The checksum of a backup's bytes: of its one file, or of every member of its folder."""

import hashlib
from pathlib import Path

CHUNK_BYTES = 1 << 20


def sha256_of(backup: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits; of a folder, that of its members.

    A folder's is the SHA-256 of the lines `<SHA-256>  <name>` of its files, sorted by name, so
    that a member that changed, is missing or was added gives another one.
    """
    if not backup.is_dir():
        return _of_file(backup)
    members = sorted(path for path in backup.iterdir() if path.is_file())
    lines = "".join(f"{_of_file(path)}  {path.name}\n" for path in members)
    return hashlib.sha256(lines.encode()).hexdigest()


def _of_file(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
