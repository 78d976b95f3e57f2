"""One order for all callers: by rank, fair across flows, first come first."""

from tasks.gate.turnstile import Turnstile

Caller = tuple[int, str]


def order_of(*callers: Caller) -> list[Caller]:
    """Let callers of (rank, flow) arrive; serve them one by one and note the order."""
    turnstile: Turnstile[Caller] = Turnstile()
    for rank, flow in callers:
        turnstile.arrive((rank, flow), rank=rank, flow=flow)
    served = []
    while len(turnstile):
        for place in turnstile.next(1):
            turnstile.admit(place)
            served.append(place.caller)
    return served


def test_lower_ranks_go_first_and_equals_in_order() -> None:
    callers = [(2, "a"), (1, "b"), (0, "c"), (1, "d")]
    assert order_of(*callers) == [(0, "c"), (1, "b"), (1, "d"), (2, "a")]


def test_a_flow_of_few_calls_does_not_wait_for_a_flow_of_many() -> None:
    served = order_of(*[(0, "many")] * 6, (0, "few"), (0, "few"))
    assert served.index((0, "few")) <= 2
    assert [flow for _, flow in served[-4:]] == ["many"] * 4


def test_a_flow_that_comes_later_starts_where_the_others_are() -> None:
    turnstile: Turnstile[str] = Turnstile()
    for _ in range(4):
        turnstile.arrive("old", flow="old")
    for place in turnstile.next(2):
        turnstile.admit(place)
    for _ in range(3):
        turnstile.arrive("new", flow="new")
    assert [place.caller for place in turnstile.next(5)] == ["new", "old", "new", "old", "new"]


def test_whoever_is_put_back_keeps_its_place() -> None:
    turnstile: Turnstile[int] = Turnstile()
    for number in range(5):
        turnstile.arrive(number)
    turnstile.put_back(turnstile.next(3))
    assert [place.caller for place in turnstile.next(5)] == [0, 1, 2, 3, 4]
