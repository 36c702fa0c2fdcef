"""A registry on the loopback interface: static files, which clients may keep as they may those of the real ones."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files in ``folder`` while the context lasts; yields the address, on 127.0.0.1 alone."""
    server = _Server(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over clients that end before they have read all: some do so with every answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Files(SimpleHTTPRequestHandler):
    """Files with an ETag that may be kept for a day; a part of one when that is asked for.

    https://www.rfc-editor.org/rfc/rfc9110 (conditions, ranges), https://www.rfc-editor.org/rfc/rfc9111 (caching)
    """

    protocol_version = "HTTP/1.1"
    timeout = 60

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Send the head of the answer and return its body."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return super().send_head()
        status = path.stat()
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self._kept(tag)
            self.end_headers()
            return None
        file = path.open("rb")
        start, end = self._range(status.st_size)
        if start or end < status.st_size:
            with file:
                file.seek(start)
                part = file.read(end - start)
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{status.st_size}")
            body: BytesIO | BinaryIO = BytesIO(part)
        else:
            self.send_response(HTTPStatus.OK)
            body = file
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(end - start))
        self.send_header("Last-Modified", self.date_time_string(int(status.st_mtime)))
        self._kept(tag)
        self.end_headers()
        return body

    def _kept(self, tag: str) -> None:
        self.send_header("ETag", tag)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "public, max-age=86400")

    def _range(self, size: int) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None or int(match[1]) >= size:
            return 0, size
        return int(match[1]), min(int(match[2]) + 1, size) if match[2] else size

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Say nothing, unless someone looks for a fault."""
        if os.environ.get("CLEANROOM_SERVER_LOG"):
            super().log_message(format, *args)
