"""The OpenAPI description is true: every operation refuses bad input as it says."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from producer.api.app import create_app
from tasks.settings import Settings
from tests.unit.producer.api.conftest import TEXT, Api, instance, problem_in, redis_with_worker

SCHEMA = create_app(Settings()).openapi()
OPEN = {"/health", "/ready"}
VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 10**30, "", "x", "\x00", "\ud800", "ü" * 300, [], [[]], {}, {"x": None},
]  # fmt: skip
VALID: dict[str, dict[str, Any]] = {
    "/runs": TEXT,
    "/analyses": {"topics": ["Clocks"]},
    "/analyze": {},  # a valid one waits for workers
    "/discussions": {"topic": "Clocks"},
    "/discussions/{run_id}/questions": {"question": "Why?"},
}
anything = st.recursive(
    st.sampled_from(VALUES), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """List what the description offers."""
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATIONS = [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in operations()]
WITH_BODY = [pytest.param(*one, id=one[1]) for one in operations() if "requestBody" in one[2]]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the components."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = SCHEMA["components"]["schemas"][reference.rsplit("/", 1)[-1]]
    return found


def fields_of(operation: dict[str, Any]) -> list[str]:
    """Name the fields of an operation's body."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return list(resolved(schema)["properties"])


def test_every_operation_says_what_its_problems_look_like() -> None:
    for _, path, operation in operations():
        answers = operation["responses"]
        assert list(answers["default"]["content"]) == ["application/problem+json"]
        assert ("401" in answers) == (path not in OPEN)
        assert bool(operation.get("security")) == (path not in OPEN)
    assert "HTTPValidationError" not in SCHEMA["components"]["schemas"]


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
async def test_an_operation_never_fails_on_bad_parameters(
    api: Api, method: str, path: str, operation: dict[str, Any]
) -> None:
    header = {**await api.caller(), "Content-Type": "application/json"}
    for bad in ("%00", "..", "a" * 150, "-1", "%F0%9F%95%B0", "x:y", "%0d%0a", "{run_id}"):
        url = path.replace("{run_id}", bad).replace("{picture}", bad)
        query = "&".join(f"{p['name']}={bad}" for p in operation.get("parameters", ()))
        headers = {**header, "Last-Event-ID": "9" * 30, "Idempotency-Key": "x" * 300}
        answer = await api.client.request(method, f"{url}?{query}", headers=headers)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            problem_in(answer, answer.status_code)


@pytest.mark.parametrize(("method", "path", "operation"), WITH_BODY)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_an_operation_never_fails_on_a_bad_body(
    sent: list[Any],
    tmp_path: Path,
    method: str,
    path: str,
    operation: dict[str, Any],
    data: st.DataObject,
) -> None:
    fields = st.sampled_from([*fields_of(operation), "zzz"])
    wrong = st.dictionaries(fields, anything, max_size=4)
    body = data.draw(st.one_of(anything, wrong, wrong.map(lambda some: {**VALID[path], **some})))
    answer = asyncio.run(ask(tmp_path, method, path.replace("{run_id}", "x"), json.dumps(body)))
    no_worker = "urn:castline:no-worker" in answer.text  # pictures may be asked for: nobody draws
    assert answer.status_code < 500 or no_worker, answer.text
    if answer.status_code >= 400:
        problem_in(answer, answer.status_code)


async def ask(folder: Path, method: str, path: str, body: str) -> httpx.Response:
    """Send a body to an instance of its own."""
    async with instance(await redis_with_worker(), folder) as api:
        header = {**await api.caller(), "Content-Type": "application/json"}
        return await api.client.request(method, path, content=body, headers=header)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/runs", "/limits", "/health", "/ready"])
async def test_an_answer_fits_its_schema(api: Api, path: str) -> None:
    header = await api.caller(rpm=60)
    await api.run(header)
    answer = (await api.client.get(path, headers=header)).json()
    said = SCHEMA["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**SCHEMA, **said}).validate(answer)


def test_every_operation_says_in_a_sentence_what_it_does() -> None:
    said = [operation["summary"] for _, _, operation in operations()]
    assert len(set(said)) == len(said)
    assert [text for text in said if len(text.split()) < 3 or text.endswith(".")] == []
