"""An instance of the API on fakeredis, with workers that beat and a broker that takes all."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakeredis import FakeAsyncRedis
from fastapi import FastAPI

from producer.api.app import create_app
from producer.api.site import Site
from tasks import dispatch
from tasks.deps import Deps
from tasks.routing import LLM_QUEUES
from tasks.schemas.services import ServiceLine
from tasks.settings import Settings
from tasks.store import keys, room
from tasks.store.backlog import BacklogBook
from tasks.store.batch_calls import BatchCalls
from tasks.store.blobs import Blobs
from tasks.store.leases import LeaseKeeper
from tasks.store.ledger import Ledger
from tasks.store.reader import RunReader
from tasks.store.room import Room
from tasks.store.sessions import Sessions

TEXT = {"characters": [{"text": "A keeper of clocks."}], "tweets": 2}


@dataclass
class Api:
    """One instance, and what a caller needs to ask it something."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def site(self) -> Site:
        """What the instance works with."""
        site: Site = self.app.state.site
        return site

    async def caller(self, *, rpm: int = 0, runs: int = 0) -> dict[str, str]:
        """Make a key; returns the header of its requests."""
        _, token = await self.site.api_keys.create("test", rpm=rpm, runs=runs)
        return {"Authorization": f"Bearer {token}"}

    async def run(self, headers: dict[str, str]) -> str:
        """Ask for a run; returns its id."""
        answer = await self.client.post("/runs", json=TEXT, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])


def problem_in(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Read the problem that an answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(json.loads(answer.text))
    assert body["status"] == status
    assert body["type"].startswith("urn:castline:")
    return body


@pytest.fixture
async def redis(anyio_backend: str) -> AsyncIterator[Any]:
    """Open an empty in-memory Redis with a worker that beats."""
    client = await redis_with_worker()
    yield client
    await client.aclose()


async def redis_with_worker() -> Any:
    """Open an empty in-memory Redis; a worker's last beat is an hour ahead."""
    client = FakeAsyncRedis(decode_responses=True)
    seconds, _ = await client.time()
    worker = ServiceLine(
        name="w", pid=1, node="n", state="running", queues=LLM_QUEUES, provider="p", model="m",
        seen_ms=(int(seconds) + 3600) * 1000,
    )  # fmt: skip
    await client.hset(keys.SERVICES, "w", worker.model_dump_json())
    return client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep what is sent; Redis has room (fakeredis has no INFO)."""
    messages: list[Any] = []
    monkeypatch.setattr(dispatch, "publish", lambda *given: messages.extend(given))

    async def roomy(_: Any) -> Room:
        """Find room."""
        return Room(used_bytes=0, most_bytes=0)

    monkeypatch.setattr(room, "look", roomy)
    return messages


def settings_in(folder: Path) -> Settings:
    """Settings with limits that a test reaches."""
    return Settings(
        home=folder, node="n", api_timeout_s=5, api_requests=20, api_streams=2, queue_most_calls=40,
        queue_high_calls=20,
    )  # fmt: skip


@pytest.fixture
async def api(redis: Any, sent: list[Any], tmp_path: Path) -> AsyncIterator[Api]:
    """Start an instance."""
    async with instance(redis, tmp_path) as started:
        yield started


@contextlib.asynccontextmanager
async def instance(
    redis: Any, folder: Path, *, settings: Settings | None = None
) -> AsyncIterator[Api]:
    """Start an instance on a Redis."""
    app = create_app(settings or settings_in(folder), opened=opener(redis))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield Api(app, client)


def opener(redis: Any) -> Any:
    """Wire processes up on one Redis."""

    async def opened(settings: Settings) -> Deps:
        ledger = Ledger(redis, owner="n/999999999")
        return Deps(
            settings=settings,
            redis=redis,
            ledger=ledger,
            reader=RunReader(redis),
            backlog=BacklogBook(redis),
            blobs=Blobs(f"file://{settings.home}/blobs"),
            leases=LeaseKeeper(ledger),
            batch_calls=BatchCalls(redis, retention_s=60, grace_s=1),
            sessions=Sessions(redis),
        )

    return opened
