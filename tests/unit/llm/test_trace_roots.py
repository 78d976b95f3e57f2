"""A run's trace: the same from every process, in LangSmith's order."""

import logging

from tasks.llm.tracing import Seldom, root_of


def test_a_runs_root_follows_from_its_id_alone() -> None:
    root, start, order = root_of("20261123-174500-k3f9")
    assert root_of("20261123-174500-k3f9") == (root, start, order)
    assert root_of("20261123-174500-k3f8")[0] != root
    assert order == f"20261123T174500000000Z{root}"


def test_langsmiths_complaints_come_as_one_line_now_and_then() -> None:
    seldom = Seldom()
    records = [
        logging.makeLogRecord({"msg": "Failed to POST http://secret", "exc_info": (1, 2, 3)})
        for _ in range(2)
    ]
    assert [seldom.filter(record) for record in records] == [True, False]
    assert "http" not in records[0].getMessage()
    assert records[0].exc_info is None
