"""The simulated provider's files and batches over real HTTP on loopback."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tasks.llm.simulator.options import SimulatorOptions
from tasks.llm.simulator.server import running

ENDED = {"failed", "completed", "expired", "cancelled"}


def line(custom_id: str, text: str = "Hi", **members: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    told = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return {**told, **members}


class Client:
    """Talks to one simulated provider."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self.http = http
        self.base_url = base_url

    async def call(self, method: str, path: str, **members: Any) -> tuple[int, dict[str, Any]]:
        async with self.http.request(method, f"{self.base_url}{path}", **members) as response:
            return response.status, await response.json()

    async def upload(self, content: str, *, purpose: str = "batch", name: str = "in.jsonl") -> Any:
        form = aiohttp.FormData()
        form.add_field("purpose", purpose)
        form.add_field("file", content.encode(), filename=name)
        return await self.call("POST", "/files", data=form)

    async def create(self, file_id: str, **members: Any) -> tuple[int, dict[str, Any]]:
        asked = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            **members,
        }
        return await self.call("POST", "/batches", json=asked)

    async def batch(self, lines: list[Any], **members: Any) -> dict[str, Any]:
        texts = [text if isinstance(text, str) else json.dumps(text) for text in lines]
        _, file = await self.upload("\n".join(texts))
        status, batch = await self.create(file["id"], **members)
        assert (status, batch["status"]) == (200, "validating")
        return batch

    async def ended(self, batch: dict[str, Any]) -> dict[str, Any]:
        while batch["status"] not in ENDED:
            await asyncio.sleep(0.005)
            _, batch = await self.call("GET", f"/batches/{batch['id']}")
        return batch

    async def lines(self, file_id: str | None) -> dict[str, dict[str, Any]]:
        if file_id is None:
            return {}
        async with self.http.get(f"{self.base_url}/files/{file_id}/content") as response:
            found = [json.loads(text) for text in (await response.text()).splitlines()]
        return {entry["custom_id"]: entry for entry in found}

    async def stats(self) -> dict[str, Any]:
        async with self.http.get(self.base_url.removesuffix("/v1") + "/stats") as response:
            return dict(await response.json())


@contextlib.asynccontextmanager
async def provider(**options: Any) -> AsyncIterator[Client]:
    given = SimulatorOptions.model_validate({"batch_delay_s": 0, **options})
    async with running(given) as base_url, aiohttp.ClientSession() as http:
        yield Client(http, base_url)


def check(steps: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    async def all_steps() -> None:
        async with provider(**options) as client:
            await steps(client)

    asyncio.run(asyncio.wait_for(all_steps(), 20))


def test_a_batch_answers_every_line_as_the_chat_endpoint_would() -> None:
    async def steps(client: Client) -> None:
        batch = await client.batch([line("a", "A walk"), line("b", "A storm")], metadata={"x": "1"})
        done = await client.ended(batch)
        assert (done["status"], done["metadata"]) == ("completed", {"x": "1"})
        assert done["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
        assert done["error_file_id"] is None
        found = await client.lines(done["output_file_id"])
        asked = line("a", "A walk")["body"]
        _, chat = await client.call("POST", "/chat/completions", json=asked)
        assert set(found) == {"a", "b"}
        assert found["a"]["error"] is None
        assert found["a"]["response"]["status_code"] == 200
        assert found["a"]["response"]["body"]["choices"] == chat["choices"]

    check(steps)


def test_batch_calls_are_counted_apart_and_their_keys_with_all_others(tmp_path: Path) -> None:
    async def steps(client: Client) -> None:
        for _ in range(2):
            await client.ended(await client.batch([line("twice"), line("b")]))
        stats = await client.stats()
        assert stats["granted"] == 0
        assert stats["batches"] == {"created": 2, "completed": 2, "calls": 4}
        assert stats["duplicate_keys"] == 2

    log = tmp_path / "log.jsonl"
    check(steps, log=log)
    keys = [json.loads(text)["idempotency_key"] for text in log.read_text().splitlines()]
    assert sorted(keys) == ["b", "b", "twice", "twice"]


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([line("a"), line("a")], "duplicate_custom_id", 2),
        ([line("a"), "{not json"], "invalid_json_line", 2),
        ([line("a", url="/v1/embeddings")], "url_mismatch", 1),
        ([line("a", method="GET")], "invalid_method", 1),
        ([line("")], "missing_required_parameter", 1),
        (["", ""], "empty_file", None),
        ([line(str(n)) for n in range(4)], "too_many_tasks", None),
        ([line("a"), line("b", body={"model": "other"})], "model_mismatch", None),
    ],
)
def test_a_wrong_file_fails_its_batch_and_nothing_of_it_is_paid(
    lines: list[Any], code: str, number: int | None
) -> None:
    async def steps(client: Client) -> None:
        failed = await client.ended(await client.batch(lines))
        assert failed["status"] == "failed"
        error = failed["errors"]["data"][0]
        assert (error["code"], error["line"]) == (code, number)
        assert "calls" not in (await client.stats())["batches"]

    check(steps, batch_max=3)


def test_faults_hit_single_lines_and_refused_lines_are_not_granted() -> None:
    async def steps(client: Client) -> None:
        done = await client.ended(await client.batch([line(f"k{n}") for n in range(40)]))
        good = await client.lines(done["output_file_id"])
        bad = await client.lines(done["error_file_id"])
        assert len(good) + len(bad) == 40
        assert {entry["response"]["status_code"] for entry in bad.values()} == {429, 503}
        assert done["request_counts"]["failed"] == len(bad)
        assert (await client.stats())["batches"]["calls"] == len(good)
        reasons = {e["response"]["body"]["choices"][0]["finish_reason"] for e in good.values()}
        assert reasons == {"stop", "length"}

    check(steps, faults="429=0.2,5xx=0.2,truncate=0.2")


def test_a_line_that_is_no_chat_request_becomes_a_400_line() -> None:
    async def steps(client: Client) -> None:
        done = await client.ended(await client.batch([line("a", body={"model": "m"})]))
        bad = await client.lines(done["error_file_id"])
        assert bad["a"]["response"]["status_code"] == 400
        assert "messages" in bad["a"]["response"]["body"]["error"]["message"]

    check(steps)


def test_a_cancelled_batch_keeps_what_was_answered_and_names_the_rest() -> None:
    async def steps(client: Client) -> None:
        batch = await client.batch([line(f"k{n}") for n in range(20)])
        while batch["request_counts"]["completed"] < 2:
            _, batch = await client.call("GET", f"/batches/{batch['id']}")
        _, cancelling = await client.call("POST", f"/batches/{batch['id']}/cancel")
        assert cancelling["status"] == "cancelling"
        done = await client.ended(cancelling)
        assert done["status"] == "cancelled"
        good = await client.lines(done["output_file_id"])
        bad = await client.lines(done["error_file_id"])
        assert len(good) >= 2
        assert set(good) | set(bad) == {f"k{n}" for n in range(20)}
        assert {entry["error"]["code"] for entry in bad.values()} == {"batch_cancelled"}
        status, _ = await client.call("POST", f"/batches/{batch['id']}/cancel")
        assert status == 400

    check(steps, batch_delay_s=2)


def test_a_batch_that_outlives_its_window_expires_with_what_it_has() -> None:
    async def steps(client: Client) -> None:
        done = await client.ended(await client.batch([line(f"k{n}") for n in range(20)]))
        assert done["status"] == "expired"
        good = await client.lines(done["output_file_id"])
        bad = await client.lines(done["error_file_id"])
        assert (len(good) > 0, len(good) + len(bad)) == (True, 20)
        assert {entry["error"]["code"] for entry in bad.values()} == {"batch_expired"}

    check(steps, batch_delay_s=0.6, batch_window_s=0.3)


def test_batches_are_listed_newest_first_page_by_page() -> None:
    async def steps(client: Client) -> None:
        made = [await client.batch([line("a")], metadata={"chunk": str(n)}) for n in range(3)]
        _, page = await client.call("GET", "/batches?limit=2")
        assert [batch["metadata"]["chunk"] for batch in page["data"]] == ["2", "1"]
        assert (page["has_more"], page["last_id"]) == (True, made[1]["id"])
        _, rest = await client.call("GET", f"/batches?limit=2&after={page['last_id']}")
        assert [batch["id"] for batch in rest["data"]] == [made[0]["id"]]
        assert rest["has_more"] is False

    check(steps)


def test_files_are_shown_read_and_deleted() -> None:
    async def steps(client: Client) -> None:
        _, file = await client.upload("x\n")
        assert (file["bytes"], file["purpose"], file["filename"]) == (2, "batch", "in.jsonl")
        assert (await client.call("GET", f"/files/{file['id']}"))[1] == file
        assert (await client.call("DELETE", f"/files/{file['id']}"))[1]["deleted"] is True
        assert (await client.call("GET", f"/files/{file['id']}"))[0] == 404
        assert (await client.create(file["id"]))[0] == 400

    check(steps)


def test_what_is_wrong_with_an_upload_or_a_batch_is_told_with_400() -> None:
    async def steps(client: Client) -> None:
        assert (await client.upload("x", purpose="fine-tune"))[0] == 400
        assert (await client.upload("x", name="in.txt"))[0] == 400
        _, file = await client.upload(json.dumps(line("a")))
        for wrong in (
            {"endpoint": "/v1/embeddings"},
            {"completion_window": "1h"},
            {"metadata": {"k" * 65: "v"}},
        ):
            assert (await client.create(file["id"], **wrong))[0] == 400
        assert (await client.call("GET", "/batches/batch_none"))[0] == 404
        assert (await client.call("GET", "/batches?limit=0"))[0] == 400

    check(steps)


def test_files_and_batches_want_the_key_too() -> None:
    async def steps(client: Client) -> None:
        assert (await client.call("GET", "/batches"))[0] == 401
        assert (await client.upload("x"))[0] == 401

    check(steps, api_key="secret")
