"""A wheel and an sdist without what differs from one machine and one hour to the next.

setuptools gives the files of an sdist the time and the owner of the build, and both archives the
rights that the files have in the folder.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import time
import zipfile
from pathlib import Path

# Zip knows no time before 1980.
FIRST_OF_ZIP = 315532800
UNIX = 3
FILE, PROGRAM, FOLDER = 0o644, 0o755, 0o755


def normalise(path: Path, epoch: int) -> None:
    """Write a wheel or an sdist anew: the same files, all of this time and of nobody."""
    if path.suffix == ".whl":
        path.write_bytes(_wheel(path, epoch))
    else:
        path.write_bytes(_sdist(path, epoch))


def _wheel(path: Path, epoch: int) -> bytes:
    moment = time.gmtime(max(epoch, FIRST_OF_ZIP))[:6]
    target = io.BytesIO()
    with zipfile.ZipFile(path) as given, zipfile.ZipFile(target, "w") as made:
        # In their order: the record stands last, as its format asks.
        for entry in given.infolist():
            content = given.read(entry)
            info = zipfile.ZipInfo(entry.filename, moment)
            info.external_attr = (stat.S_IFREG | _mode(content)) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = UNIX
            made.writestr(info, content)
    return target.getvalue()


def _sdist(path: Path, epoch: int) -> bytes:
    target = io.BytesIO()
    with (
        tarfile.open(path) as given,
        tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as made,
    ):
        for member in sorted(given.getmembers(), key=lambda each: each.name):
            stream = given.extractfile(member)
            content = stream.read() if stream else b""
            info = tarfile.TarInfo(member.name)
            info.type, info.size, info.mtime = member.type, len(content), epoch
            info.mode = FOLDER if member.isdir() else _mode(content)
            made.addfile(info, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=epoch) as compressed:
        compressed.write(target.getvalue())
    return packed.getvalue()


def _mode(content: bytes) -> int:
    """Return the rights of a file: what says with which program it runs is one."""
    return PROGRAM if content.startswith(b"#!") else FILE
