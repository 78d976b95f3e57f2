"""Files stay within their bounds."""

import pytest

from tasks.llm.simulator.batches import files
from tasks.llm.simulator.batches.files import Files


def test_the_oldest_files_go_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    kept = Files()
    first, second, third = (
        kept.add(b"12345", name="a.jsonl", purpose="batch", now=1.0) for _ in range(3)
    )
    assert kept.get(first.id) is None
    assert kept.get(second.id) == second
    assert kept.get(third.id) == third
