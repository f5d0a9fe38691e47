"""docs/operate/backup.md: a real Redis is saved with waiting events, lost, and restored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from sockudo_publisher import configure, operations, publish, publish_many
from sockudo_publisher.dev.embedded import RedisServer, SockudoServer
from sockudo_publisher.dev.embedded.process import wait_for
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LONG_S = 90.0


def use(stack: Stack, server: RedisServer) -> None:
    """The journal of this process, and of the workers that start from now on."""
    stack.environ["SOCKUDO_REDIS_URL"] = server.url
    configure(url=stack.environ["SOCKUDO_URL"], redis_url=server.url)


def saved(server: RedisServer) -> Path:
    """BGSAVE, and wait until LASTSAVE has changed."""
    with redis.Redis.from_url(server.url) as client:
        before = client.lastsave()
        # LASTSAVE counts whole seconds, and is the start's at first.
        assert wait_for(lambda: client.time()[0] > int(before.timestamp()) + 1, 10)
        client.bgsave()
        assert wait_for(lambda: client.lastsave() > before, LONG_S)
    return server.directory / "dump.rdb"


def restored(backup: Path, directory: Path) -> RedisServer:
    """As the page says: started without an append-only file, which is turned on then."""
    directory.mkdir(mode=0o700)
    shutil.copy(backup, directory / "dump.rdb")
    server = RedisServer(directory, appendonly=False)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("appendonly", "yes")
        assert wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"], LONG_S)
    return server


def waiting() -> int:
    return sum(lane.depth for lane in operations.status()[0].lanes)


@pytest.mark.parametrize("server_forgot", [False, True], ids=["remembered", "forgotten"])
def test_restored_journal_delivers_what_waited(stack: Stack, tmp_path: Path, server_forgot: bool) -> None:
    """In order. Delivered since the backup: again only if the server has forgotten; stored since: lost."""
    first, second = tmp_path / "first", tmp_path / "second"
    channel = stack.channel()
    with SockudoServer(tmp_path / "sockudo", dedup_ttl_s=120) as sockudo:
        stack.server, stack.environ["SOCKUDO_URL"] = sockudo, sockudo.url
        with RedisServer(first) as lost:
            use(stack, lost)
            publish_many((channel, "n", str(n)) for n in range(50))
            backup = saved(lost)
            subscriber = stack.subscribe(channel)
            worker = stack.worker(env={"SOCKUDO_DEDUP_WINDOW": "110"})
            assert wait_for(lambda: subscriber.count >= 50, LONG_S), worker.log_tail()
            worker.stop()
            publish.delay(channel, "n", "stored after the backup")
        if server_forgot:
            sockudo.restart()
        again = stack.subscribe(channel)
        server = restored(backup, second)
        try:
            use(stack, server)
            assert waiting() == 50
            publish.delay(channel, "n", "new")
            worker = stack.worker(env={"SOCKUDO_DEDUP_WINDOW": "110"})
            assert wait_for(lambda: "new" in again.data(), LONG_S), worker.log_tail()
            repeated = [str(n) for n in range(50)] if server_forgot else []
            assert again.data() == [*repeated, "new"]
            # An event is seen a moment before it is settled.
            assert wait_for(lambda: waiting() == 0, LONG_S), worker.log_tail()
            worker.stop()
            with redis.Redis.from_url(server.url) as client:
                assert client.config_get("appendonly")["appendonly"] == "yes"
        finally:
            server.stop()
        # Configured with the append-only file from now on: it has what was delivered.
        with RedisServer(second, port=server.port, password=server.password):
            assert waiting() == 0
