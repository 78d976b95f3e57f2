"""Usage adds up."""

from tasks.schemas.calls import CallUsage


def test_the_sum_of_two_usages_keeps_the_last_named_model_and_adds_the_rest() -> None:
    total = CallUsage(model="a", made=1, prompt_tokens=3, seconds=0.5) + CallUsage(
        made=2, completion_tokens=7, seconds=0.25
    )
    assert total == CallUsage(model="a", made=3, prompt_tokens=3, completion_tokens=7, seconds=0.75)
