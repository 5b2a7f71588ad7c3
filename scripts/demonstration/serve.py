"""Serve the site with waitress until standard input ends, or while a file exists."""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path

from waitress import create_server

LOOK_SECONDS = 0.3


def wait_for_end_of_input() -> None:
    """Return when standard input ends, as it does when the process that started this one ends."""
    while os.read(0, 1024):
        pass


def wait_while_exists(path: Path) -> None:
    """Return when the file is gone: a way to tell a process to end that works on every system."""
    while path.exists():
        time.sleep(LOOK_SECONDS)


def main() -> None:
    """Serve, and end when told to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--while-exists", type=Path, metavar="FILE")
    options = parser.parse_args()

    from treasury.wsgi import application

    server = create_server(application, host=options.host, port=options.port)
    threading.Thread(target=server.run, daemon=True).start()
    if options.while_exists is None:
        wait_for_end_of_input()
    else:
        wait_while_exists(options.while_exists)
    server.close()


if __name__ == "__main__":
    main()
