"""The API in a real Chromium: its own page, and a page whose instance is killed misses nothing."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser
from pytest_httpserver import HTTPServer

from tests.api_client import Instance, api_on
from tests.castline import ROOT, Castline, free_port
from tests.chaos.farm import Farm, farm_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Start a stack whose model takes a moment."""
    with farm_in(tmp_path_factory.mktemp("pages"), latency_s=0.3) as started:
        started.up()
        yield started


def follow_script() -> str:
    """Read the page's script from the documentation."""
    found = re.search(r"```js\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def for_pages_of(farm: Farm, origin: str) -> Castline:
    """Name a page's origin in an instance's settings."""
    variables = {**farm.castline.variables, "CASTLINE_API_ORIGINS": origin}
    return Castline(farm.castline.folder, variables)


def begun(instance: Instance, key: str) -> str:
    """Ask an instance for a run that takes some seconds."""
    body = {"characters": [{"text": "A keeper of clocks."}], "tweets": 2}
    answer = httpx.post(
        f"{instance.url}/runs", json=body, headers={"Authorization": f"Bearer {key}"}
    )
    return str(answer.json()["run_id"])


def test_a_page_whose_instance_is_killed_gets_every_event_once(
    farm: Farm, chromium: Browser, httpserver: HTTPServer
) -> None:
    key = str(farm.castline.json("api-key", "create", "page")["key"])
    httpserver.expect_request("/").respond_with_data("<p>A page.</p>", content_type="text/html")
    castline, port = for_pages_of(farm, httpserver.url_for("").rstrip("/")), free_port()
    page = chromium.new_page()
    page.goto(httpserver.url_for("/"))
    page.add_script_tag(content=f"{follow_script()}; var told = [], ended = false;")
    with api_on(castline, port) as mortal:
        run = begun(mortal, key)
        address = f"{mortal.url}/runs/{run}/events"
        page.evaluate(
            "([url, key]) => { follow(url, key, (e) => told.push(e)).then(() => ended = true); }",
            [address, key],
        )
        page.wait_for_function("told.length >= 4")
        mortal.process.kill()
        mortal.process.wait()
        before = page.evaluate("told.length")
    with api_on(castline, port):
        page.wait_for_function("ended", timeout=60_000)
        ids = [event["id"] for event in page.evaluate("told")]
    page.close()
    stream = farm.store.client().xrange(f"castline:run:{run}:events")
    assert ids == [entry for entry, _ in stream]
    assert before < len(ids), "the run had ended before its instance was killed"


def test_a_page_that_is_not_named_reads_nothing(
    farm: Farm, chromium: Browser, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/").respond_with_data("<p>A page.</p>", content_type="text/html")
    page = chromium.new_page()
    page.goto(httpserver.url_for("/"))
    with api_on(farm.castline) as api:
        said = page.evaluate(
            "(url) => fetch(url).then((a) => a.text(), (e) => e.name)", f"{api.url}/health"
        )
    page.close()
    assert said == "TypeError"


def test_the_page_of_all_operations_comes_from_the_instance_and_tries_them(
    farm: Farm, chromium: Browser
) -> None:
    key = str(farm.castline.json("api-key", "create", "reader")["key"])
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with api_on(farm.castline) as api:
        paths = httpx.get(f"{api.url}/openapi.json").json()["paths"]
        page.goto(f"{api.url}/docs")
        page.wait_for_selector(".opblock")
        assert page.locator(".opblock").count() == sum(len(methods) for methods in paths.values())
        page.click("button.authorize")
        page.fill(".auth-container input", key)
        page.click(".auth-btn-wrapper .authorize")
        page.click(".btn-done")
        block = page.locator(".opblock", has_text="/limits")
        block.locator(".opblock-summary-control").click()
        block.locator(".try-out__btn").click()
        block.locator(".execute").click()
        answer = block.locator(".live-responses-table")
        answer.wait_for()
        assert answer.locator(".response-col_status").last.inner_text().split()[0] == "200"
        assert '"name": "reader"' in answer.inner_text()
    page.close()
    assert [url for url in asked if not url.startswith((api.url, "data:"))] == []
