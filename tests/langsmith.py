"""A stand-in for LangSmith's HTTP API: takes runs as its client sends them, and keeps the bytes."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

INFO = {
    "version": "0.10.0",
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 2,
        "scale_down_nempty_trigger": 4,
    },
}


@dataclass
class Standin:
    """What arrived: runs by id, and everything as raw bytes."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, server: HTTPServer) -> None:
        """Answer the addresses that the client uses."""
        server.expect_request("/info").respond_with_json(INFO)
        server.expect_request("/runs/multipart", method="POST").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        body = request.get_data(cache=True, parse_form_data=False)
        with self._lock:
            self.raw += body
            for name, text in request.form.items():
                _, run_id, *part = name.split(".")
                run = self.runs.setdefault(run_id, {})
                value = json.loads(text)
                if part:
                    run[part[0]] = value
                else:
                    run.update({key: kept for key, kept in value.items() if kept is not None})
        return Response("{}", status=202, content_type="application/json")

    def named(self) -> dict[str, dict[str, Any]]:
        """All runs by id, each whole."""
        with self._lock:
            return {run_id: dict(run) for run_id, run in self.runs.items()}
