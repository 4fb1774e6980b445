"""A loopback server that stands for a venue and says what a test tells it to."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedVenue:
    """A loopback server that answers every request with what it was last told to."""

    def __init__(self) -> None:
        self.status, self.headers = 200, {"Content-Type": "application/json"}
        self.body = b"{}"
        self.delay = 0.0
        self.paths: list[str] = []
        self.sent_headers: list[dict[str, str]] = []
        self.sent_bodies: list[Any] = []
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                venue.paths.append(self.path)
                venue.sent_headers.append(dict(self.headers))
                time.sleep(venue.delay)
                self.send_response(venue.status)
                for name, value in (
                    {"Content-Length": str(len(venue.body))} | venue.headers
                ).items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(venue.body)  # who waited too long has gone

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                venue.sent_bodies.append(json.loads(self.rfile.read(length)))
                self.do_GET()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        """Answer with `body` (bytes, or what becomes JSON) from now on."""
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
