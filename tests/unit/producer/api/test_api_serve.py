"""Where the API listens."""

import socket

import pytest

from producer.api.serve import listener
from tasks.errors import BadInputError


@pytest.mark.parametrize("shared", [False, True])
def test_who_connects_is_answered_without_waiting_for_more_to_send(shared: bool) -> None:
    with (
        listener("127.0.0.1", 0, shared=shared) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_or_not_ours_is_said() -> None:
    with listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInputError, match=f"port {port}: Address already in use"):
            listener("127.0.0.1", port)
    with pytest.raises(BadInputError, match="cannot listen on 203"):
        listener("203.0.113.9", 0)


def test_a_shared_port_is_listened_on_more_than_once() -> None:
    with listener("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        with listener("127.0.0.1", port, shared=True) as second:
            assert second.getsockname() == first.getsockname()
