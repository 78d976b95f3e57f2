"""Flower in a real Chromium: stages by name, one queue per GPU, and nothing that is secret."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, HttpCredentials

from tasks.schemas.plan import STAGES
from tests.castline import Castline, wait_for

pytestmark = pytest.mark.browser

LOGIN: HttpCredentials = {"username": "operator", "password": "flowerpw"}
SECRET = "a clockmaker who collects the sounds of bells"


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a stack with Flower and two image workers, run a small job, give Flower's address."""
    folder = tmp_path_factory.mktemp("flower")
    castline = Castline(
        folder,
        {
            "CASTLINE_HOME": str(folder / "home"),
            "CASTLINE_RENDERER": "sleep:0.05",
            "CASTLINE_LLM_API_KEY": "sk-never-shown",
            "CASTLINE_FLOWER_AUTH": "operator:flowerpw",
        },
    )
    try:
        up = castline.json("up", "--detach", "--gpus", "2")
        done = castline.json("run", "--text", SECRET, "--tweets", "3", "--images", "--out", "out")
        assert done["state"] == "done"
        yield str(up["flower"])
    finally:
        castline.run("down")


def page_text(chromium: Browser, address: str, *, until: str) -> str:
    """Open a page and wait for a text on it; returns all that it shows."""
    page = chromium.new_page(viewport={"width": 1400, "height": 900}, http_credentials=LOGIN)
    try:
        page.goto(address)
        page.get_by_text(until).first.wait_for(timeout=20_000)
        return page.inner_text("body")
    finally:
        page.close()


def test_flower_shows_the_seven_stages_and_the_tweet_tasks_by_name(
    chromium: Browser, flower: str
) -> None:
    text = page_text(chromium, f"{flower}/tasks?limit=100", until="persona.core")
    for stage in STAGES:
        assert f"persona.{stage}" in text
    for name in ("persona.assemble", "calendar.plan", "tweet.write", "tweet.collect"):
        assert name in text


def test_flower_shows_one_queue_for_each_gpu(chromium: Browser, flower: str) -> None:
    def queues() -> set[str]:
        text = page_text(chromium, f"{flower}/broker", until="llm.1-interactive")
        return set(re.findall(r"gpu\.\S+\.\d", text))

    found = wait_for("both GPU queues on the broker page", lambda: len(queues()) == 2 and queues())
    assert {name.rsplit(".", 1)[1] for name in found} == {"0", "1"}


def test_no_argument_shows_a_prompt_a_key_or_a_path(flower: str) -> None:
    answer = httpx.get(f"{flower}/api/tasks", auth=(LOGIN["username"], LOGIN["password"]))
    tasks = answer.json().values()
    assert {task["name"] for task in tasks} >= {"persona.core", "tweet.write", "picture.render"}
    for task in tasks:
        assert re.fullmatch(r"[\w\-.,'\[\]() ]*", task["args"] or ""), task["args"]
        assert task["kwargs"] in ("{}", None)
    for hidden in (SECRET, "sk-never-shown", "flowerpw", str(Path.home()), "clockmaker"):
        assert hidden not in answer.text


def test_flower_asks_for_its_password(flower: str) -> None:
    assert httpx.get(f"{flower}/tasks").status_code == 401
