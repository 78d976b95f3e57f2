"""Queue names carry the order in which they are asked."""

from tasks.routing import LLM_QUEUES, gpu_queue


def test_sorting_by_name_puts_interactive_before_batch_and_chains_before_tweets() -> None:
    assert sorted(LLM_QUEUES) == [
        "llm.1-interactive.1-chain",
        "llm.1-interactive.2-rest",
        "llm.2-batch.1-chain",
        "llm.2-batch.2-rest",
    ]


def test_a_host_name_becomes_one_part_of_a_queue_name() -> None:
    assert gpu_queue("gpu01.example.org", 3) == "gpu.gpu01-example-org.3"
