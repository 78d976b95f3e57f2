"""A run in batch mode is refused where its provider has none."""

import pytest
from pydantic import SecretStr

from producer.console import BAD_INPUT, exit_code
from producer.submit import check_batch_mode
from tasks.errors import BadInputError
from tasks.llm.providers import Provider
from tasks.schemas.limits import Limits
from tasks.schemas.services import ServiceLine


def worker(provider: str, *, batch_api: bool) -> ServiceLine:
    return ServiceLine(
        name=f"llm-{provider}",
        pid=1,
        node="n",
        state="running",
        provider=provider,
        batch_api=batch_api,
    )


def test_one_worker_whose_provider_has_no_batch_mode_is_enough_to_refuse() -> None:
    upkeep = ServiceLine(name="upkeep-1", pid=2, node="n", state="running")
    check_batch_mode([worker("good", batch_api=True), upkeep])
    with pytest.raises(BadInputError, match="'poor' has no batch mode") as caught:
        check_batch_mode([worker("good", batch_api=True), worker("poor", batch_api=False)])
    assert "--batch-api" in caught.value.hint
    assert exit_code(caught.value) == BAD_INPUT


def test_a_provider_of_another_dialect_has_no_batch_mode_whatever_its_table_says() -> None:
    for dialect, has in (("openai", True), ("anthropic", False)):
        provider = Provider(
            name="p",
            base_url="http://127.0.0.1:1/v1",
            api_key=SecretStr(""),
            model="m",
            vision_model="",
            limits=Limits(),
            timeout_s=1,
            structured="json_schema",
            dialect=dialect,
        )
        assert provider.has_batches is has
