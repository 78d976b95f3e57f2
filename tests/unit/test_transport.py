"""Kombu still asks the methods that we override."""

import hashlib
import inspect

from kombu import Connection
from kombu.transport import redis as kombu_redis

from tasks import app
from tasks.transport import Channel, Transport

KOMBU_BRPOP_READ = "c42518699709f2df"


def test_castlines_processes_use_the_transport_for_both_schemes() -> None:
    assert app.app is not None
    for scheme in ("redis", "rediss"):
        assert Connection(f"{scheme}://127.0.0.1:1/0").get_transport_cls() is Transport


def test_kombu_takes_its_clients_where_we_keep_ours() -> None:
    """When this fails, kombu has changed: look whether tasks/transport.py is still needed."""
    source = inspect.getsource(kombu_redis.Channel.conn_or_acquire)
    assert "self._create_client()" in source
    assert Channel._create_client is not kombu_redis.Channel._create_client


def test_a_channel_keeps_one_client_while_its_pool_lives() -> None:
    class Unconnected(Channel):
        def __init__(self) -> None:
            self.Client = lambda **given: object()
            self.pools = [self.a_pool()]

        def a_pool(self) -> object:
            return type("Pool", (), {"connection_kwargs": {}})()

        @property
        def pool(self) -> object:
            return self.pools[-1]

        def __del__(self) -> None:
            """Nothing was connected."""

    channel = Unconnected()
    first = channel._create_client()
    assert channel._create_client() is first
    channel.pools.append(channel.a_pool())
    assert channel._create_client() is not first


def test_kombu_still_asks_for_the_address_where_we_remember_it() -> None:
    """When this fails, kombu has changed: look whether a worker outlives its Redis without us."""
    assert "self._connparams(" in inspect.getsource(kombu_redis.Channel._get_pool)
    assert "self.connection.client" in inspect.getsource(kombu_redis.Channel._connparams)


def test_a_channel_knows_its_address_after_its_connection_is_gone() -> None:
    transport = Transport(Connection("redis://127.0.0.1:7/3"))
    holder = type("Holder", (), {"client": transport.client, "default_port": 6379})()
    kept = Channel.__new__(Channel)
    kept.connection = holder
    before = kept._connparams()
    kept.connection.client = None
    after = kept._connparams()
    assert (after["host"], after["port"], after["db"]) == ("127.0.0.1", 7, 3)
    assert before.keys() == after.keys()


def test_kombu_reads_from_queues_as_it_did_when_we_took_that_over() -> None:
    """When this fails, kombu has changed: compare its _brpop_read with ours."""
    source = inspect.getsource(kombu_redis.Channel._brpop_read)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == KOMBU_BRPOP_READ
