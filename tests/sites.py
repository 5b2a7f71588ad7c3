"""Sites that misbehave in a way that a test asks for, over real HTTP on 127.0.0.1."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What a request is answered with: status, headers and body, given the path and its number.
Answers = Callable[[str, int], tuple[int, dict[str, str], bytes]]


@contextmanager
def site_that_answers(answers: Answers) -> Iterator[str]:
    """Yield the address of a site that answers every GET as the function says.

    And every POST: then the path given is `POST <path> <body>`.
    """
    asked: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(f"POST {self.path} {body}")

        def do_GET(self) -> None:
            self._answer(self.path)

        def _answer(self, path: str) -> None:
            with lock:
                asked[path] = asked.get(path, 0) + 1
                number = asked[path]
            status, headers, body = answers(path, number)
            self.send_response(status)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
