"""docs/operate/rotation.md: secrets change while an application publishes; every event arrives once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from sockudo_publisher import configure, operations
from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.doctor.acl_lines import acl_lines
from tests.integration.deploy.traffic import LONG_S, publishing
from tests.integration.deploy.world import APP, Server
from tests.support.parts import need
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CHANNEL = "rotation"


def url_of(server: Server) -> str:
    return f"http://{APP.key}:{server.secret}@127.0.0.1:{server.port}/apps/{APP.id}"


def subscriber_of(server: Server) -> Subscriber:
    return Subscriber(f"ws://127.0.0.1:{server.port}/app/{APP.key}?protocol=7", CHANNEL)


def is_draining() -> bool:
    return any(lane.leased for lane in operations.status()[0].lanes)


def test_app_secret_changes_without_a_loss(stack: Stack, tmp_path: Path) -> None:
    need("sockudo")
    settings = {"SOCKUDO_DEDUP_WINDOW": "25"}
    with Server(tmp_path) as server:
        configure(url=url_of(server), redis_url=stack.redis_server.url, dedup_window=25)
        worker = stack.worker(env={**settings, "SOCKUDO_URL": url_of(server)})
        with publishing(CHANNEL) as sent:
            with subscriber_of(server) as first:
                first.wait_for_count(5)
                operations.pause(reason="rotation of the app secret")
                assert wait_for(lambda: not is_draining(), LONG_S)
                first.wait_until_quiet()
                before = first.data()
            server.secret = "secret-two"
            server.restart()
            with subscriber_of(server) as second:
                worker.stop()
                worker = stack.worker(env={**settings, "SOCKUDO_URL": url_of(server)})
                operations.resume()
                assert wait_for(lambda: second.count >= 10, LONG_S), worker.log_tail()
                waited = len(sent)
                assert wait_for(lambda: len(before) + second.count >= waited, LONG_S)
                second.wait_until_quiet(0.0)
                got = before + second.data()
                assert got == [str(n) for n in range(len(got))], "each once, in order"
                assert len(got) >= waited
        with redis.Redis.from_url(stack.redis_server.url) as client:
            assert not list(client.scan_iter("sockudo:*:dead"))


def test_redis_passwords_change_without_a_loss(stack: Stack, tmp_path: Path) -> None:
    """Both passwords are valid until the last process has the new one."""

    def url(user: str, password: str) -> str:
        return f"redis://{user}:{password}@127.0.0.1:{own.port}/0"

    with RedisServer(tmp_path / "own") as own, redis.Redis.from_url(own.url) as admin:
        for line in acl_lines().splitlines():
            if not line.startswith("#"):
                _, _, user, *rules = line.split()
                admin.execute_command("ACL", "SETUSER", user, *(one.replace("PASSWORD", "old") for one in rules))
        configure(url=stack.server.url, redis_url=url("caller", "old"))
        worker = stack.worker(env={"SOCKUDO_REDIS_URL": url("worker", "old")})
        subscriber = stack.subscribe(CHANNEL)
        with publishing(CHANNEL) as sent:
            subscriber.wait_for_count(5)
            for user in ("caller", "worker"):
                admin.execute_command("ACL", "SETUSER", user, ">new")
            second = stack.worker(env={"SOCKUDO_REDIS_URL": url("worker", "new")})
            worker.stop()
            before = len(sent)
            configure(url=stack.server.url, redis_url=url("caller", "new"))
            for user in ("caller", "worker"):
                admin.execute_command("ACL", "SETUSER", user, "<old")
            assert wait_for(lambda: len(sent) >= before + 10, LONG_S)
            with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(url("worker", "old")) as refused:
                refused.ping()
        assert wait_for(lambda: subscriber.count >= len(sent), LONG_S), second.log_tail()
        assert subscriber.data() == sent
        assert admin.acl_log() == [] or {one["reason"] for one in admin.acl_log()} == {"auth"}
