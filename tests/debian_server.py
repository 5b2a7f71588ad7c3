"""A server of Debian's own packages: they speak other languages, and have other encodings."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsmigrate.pgtools.account import give, server_account
from scripts.demonstration.background import free_port

ROOT = Path("/usr/lib/postgresql")
GERMAN = "de_DE.UTF-8"


def programs() -> Path:
    """Return the folder of the programs that the packages brought."""
    found = sorted(ROOT.glob("*/bin/initdb"))
    assert found, "no server of the distribution: apt install postgresql locales"
    return found[-1].parent


def require_locale(name: str, source: str, charmap: str) -> None:
    """Have a locale, made on this machine where it is not there."""
    argv = [shutil.which("locale") or "locale", "-a"]
    there = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    plain = name.lower().replace("-", "")
    if plain not in {each.lower().replace("-", "") for each in there.split()}:
        argv = [shutil.which("localedef") or "localedef", "-i", source, "-f", charmap, name]
        subprocess.run(argv, check=False, capture_output=True)


@contextmanager
def debian_server(*settings: str, locale: str = "C.UTF-8") -> Iterator[str]:
    """Run a server that lets everybody in on 127.0.0.1, and yield the URL of its superuser."""
    account, port = server_account(), free_port("127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="opsmigrate-debian-", ignore_cleanup_errors=True) as at:
        give(account, Path(at))
        # As root a server does not run.
        who = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        data, bindir = Path(at) / "data", programs()
        subprocess.run(
            [bindir / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
             f"--locale={locale}"],
            check=True, capture_output=True, cwd="/", **who,
        )  # fmt: skip
        options = [f"-c{each}" for each in (*settings, "fsync=off", "listen_addresses=127.0.0.1")]
        process = subprocess.Popen(
            [bindir / "postgres", "-D", data, f"-p{port}", f"-k{at}", *options],
            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who,
        )  # fmt: skip
        try:
            ready = [bindir / "pg_isready", "-q", "-t", "20", "-h", "127.0.0.1", "-p", str(port)]
            for _ in range(100):
                assert process.poll() is None, "the server ended"
                if subprocess.run(ready, check=False).returncode == 0:
                    break
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(30)
