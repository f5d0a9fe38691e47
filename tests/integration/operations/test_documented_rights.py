"""The product under the users of docs/deployment.md: nothing is denied to callers, workers or operators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import DevServerProcess, RedisServer
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.doctor.facts.rights import BROKER_RIGHTS, PARTS, rights_of
from tests.integration.metrics.page import scrape
from tests.support.cases import in_depth
from tests.support.in_process import run_command, settings_from
from tests.support.warm import WarmWorker

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs" / "deployment.md"

#: Seconds for one command or condition, on a machine that is busy.
LONG_S = 60.0


def documented() -> dict[str, dict[str, list[str]]]:
    """By "journal" and "broker", then by user: the rules of the page's lines."""
    _, journal, broker = re.split(
        r"^# in the .*$", PAGE.read_text(encoding="utf-8").partition("## Rights")[2], flags=re.M
    )
    found: dict[str, dict[str, list[str]]] = {}
    for where, text in (("journal", journal), ("broker", broker.partition("```")[0])):
        lines = [line.split() for line in text.splitlines() if line.startswith("ACL SETUSER ")]
        found[where] = {line[2]: line[3:] for line in lines}
    return found


def test_every_right_of_the_doctor_is_on_the_page() -> None:
    """What it calls broken is what the page says to allow."""
    page = documented()
    for part in PARTS:
        assert {f"+{one}" for one in rights_of(part)} <= set(page["journal"][part.name])
        assert {f"+{one}" for one in BROKER_RIGHTS[part.name]} <= set(page["broker"][part.name])


class Deployment:
    """A journal, a broker, a server, and users of the page's lines only."""

    def __init__(
        self, journal: RedisServer, broker: RedisServer, server: DevServerProcess, directory: Path, namespace: str = ""
    ) -> None:
        self.journal, self.broker, self.server, self.directory = journal, broker, server, directory
        self.namespace = namespace
        for where, place in (("journal", journal), ("broker", broker)):
            for user, rules in documented()[where].items():
                given = ["on" if rule == "on" else rule.replace("PASSWORD", "pw") for rule in rules]
                if namespace:  # as the page says
                    given = [rule.replace("~sockudo:*", f"~{namespace}:sockudo:*") for rule in given]
                with redis.Redis.from_url(place.url) as client:
                    client.execute_command("ACL", "SETUSER", user, *given)
                    client.acl_log_reset()

    def settings(self, user: str, **more: str) -> dict[str, str]:
        return {
            "SOCKUDO_URL": self.server.url,
            "SOCKUDO_REDIS_URL": f"redis://{user}:pw@127.0.0.1:{self.journal.port}/0",
            "SOCKUDO_BROKER_URL": f"redis://{user}:pw@127.0.0.1:{self.broker.port}/0",
            "SOCKUDO_ON_EXPIRED": "dead",
            "SOCKUDO_NAMESPACE": self.namespace,
            "SOCKUDO_LANES": "2",
            "SOCKUDO_DEDUP_WINDOW": "60",
            "SOCKUDO_DELIVERY_TIMEOUT": "10",
            **more,
        }

    def call(self, source: str) -> None:
        """What a caller does."""
        with settings_from(self.settings("caller")):
            exec(source, {})

    def cli(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> dict[str, object]:
        done = run_command(self.settings("operator"), *arguments, "--json")
        assert done.returncode in codes, (arguments, done.stdout[-2000:], done.stderr[-2000:])
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    def denied(self) -> list[tuple[str, str, str]]:
        found = []
        for place in {self.journal.url, self.broker.url}:
            with redis.Redis.from_url(place, decode_responses=True) as client:
                found += [(one["username"], one["context"], one["object"]) for one in client.acl_log()]
        return found

    def lanes(self) -> int:
        """The number of lanes, when no change of it is under way; else 0."""
        [app] = self.cli("status", codes=(0, 1))["apps"]  # type: ignore[misc]
        return 0 if app["flip"] else len(app["lanes"])

    def settled(self) -> int:
        """Delivered events, behind the operator's back."""
        with redis.Redis.from_url(self.journal.url) as client:
            return sum(int(client.hget(key, "settled") or 0) for key in client.scan_iter("*sockudo:*:counts"))


@pytest.fixture(params=in_depth(["one Redis", "two", "two, with a namespace"], quick=["two", "two, with a namespace"]))
def deployment(request: pytest.FixtureRequest, tmp_path: Path, devserver: DevServerProcess) -> Iterator[Deployment]:
    with RedisServer(tmp_path / "journal", maxmemory="256mb") as journal:
        if request.param == "one Redis":
            yield Deployment(journal, journal, devserver, tmp_path)
        else:
            with RedisServer(tmp_path / "broker", maxmemory="256mb") as broker:
                namespace = "blue" if "namespace" in request.param else ""
                yield Deployment(journal, broker, devserver, tmp_path, namespace)


CALLER = """
from sockudo_publisher import publish, publish_many
publish.apply_async(("c", "expired", 1), expires=0.001)
publish.delay("c", "e", 1)
publish.delay(["c", "d"], "e", 1, key="k")
assert publish_many([("c%d" % i, "e", i) for i in range(20)], key_prefix="p").count == 20
publish.apply_async(("c", "later", 1), countdown=1, kwargs={"key": "later"})
"""

WAITING_CALLER = """
from sockudo_publisher import publish
late = publish.apply_async(("c", "later", 2), countdown=1)
assert late.get(timeout=50) == late.id
gone = publish.apply_async(("c", "gone", 2), kwargs={"key": "gone"}, countdown=60)
gone.revoke()
assert gone.state == "REVOKED"
step = publish.apply_async(("c", "step", 2), countdown=1, group_id="g")
assert step.get(timeout=50) == step.id
publish.apply_async(("c", "cancelled", 2), task_id="to-cancel", countdown=600)
publish.delay("c", "e", 2)
"""

#: What is delivered of `WAITING_CALLER`, and of both: the event of two channels is one of each.
STORED_AGAIN = 3
STORED = 1 + 2 + 20 + 1 + STORED_AGAIN


def test_nothing_is_denied(deployment: Deployment) -> None:
    """To callers with countdowns, to workers that change their lanes, to the operator's commands."""
    deployment.call(CALLER)
    port = free_port()
    with WarmWorker(
        deployment.settings("worker", SOCKUDO_METRICS_PORT=str(port)), directory=deployment.directory
    ) as worker:
        deployment.call(WAITING_CALLER)
        assert wait_for(lambda: deployment.settled() == STORED, LONG_S), worker.log_tail()
        [letter, *_] = deployment.cli("dead", "list")["letters"]  # type: ignore[misc]
        deployment.cli("dead", "show", letter["id"])
        deployment.cli("dead", "replay", letter["id"])
        assert wait_for(lambda: deployment.settled() == STORED + 1, LONG_S), worker.log_tail()
        [waiting] = deployment.cli("scheduled", "list")["scheduled"]  # type: ignore[misc]
        deployment.cli("scheduled", "cancel", waiting["id"])
        assert deployment.cli("find", waiting["id"], codes=(1,))["state"] == "cancelled"
        deployment.cli("resume")
        [app] = deployment.cli("status", codes=(0, 1))["apps"]  # type: ignore[misc]
        assert app["counters"]["settled"] == STORED + 1
        told = deployment.cli("doctor", codes=(0, 1))
        found = {one["name"]: one for one in told["findings"]}  # type: ignore[attr-defined]
        for name in ("redis.rights", "redis.role", "redis.persistence", "broker", "workers"):
            assert found[name]["state"] == "fine", found[name]
        page = scrape(port)
        assert page.samples["redis_up", frozenset()] == 1, worker.log_tail()
        assert {"scheduled_late_seconds", "scheduled_parked_events", "backlog_events"} <= page.names()
    with WarmWorker(deployment.settings("worker", SOCKUDO_LANES="3"), directory=deployment.directory) as worker:
        assert wait_for(lambda: deployment.lanes() == 3, LONG_S), worker.log_tail()
        deployment.call(WAITING_CALLER)
        assert wait_for(lambda: deployment.settled() == STORED + 1 + STORED_AGAIN, LONG_S), worker.log_tail()
    deployment.cli("dead", "purge", "--all", "--yes")
    assert deployment.denied() == []


@pytest.mark.parametrize(
    "more",
    [pytest.param((), id="no dangerous command", marks=pytest.mark.long), pytest.param(("-script",), id="nor SCRIPT")],
)
def test_managed_redis_is_enough(tmp_path: Path, devserver: DevServerProcess, more: tuple[str, ...]) -> None:
    """`+@all -@dangerous`, as services have it: published and delivered; what is left is unknown to the doctor."""
    with RedisServer(tmp_path / "managed") as managed, redis.Redis.from_url(managed.url) as client:
        deployment = Deployment(managed, managed, devserver, tmp_path)
        for user in ("caller", "worker", "operator"):
            rules = ("reset", "on", ">pw", "~*", "&*", "+@all", "-@dangerous", *more)
            client.execute_command("ACL", "SETUSER", user, *rules)
        deployment.call(CALLER)
        with WarmWorker(deployment.settings("worker"), directory=tmp_path) as worker:
            deployment.call(WAITING_CALLER)
            assert wait_for(lambda: deployment.settled() == STORED, LONG_S), worker.log_tail()
            client.script_flush()
            deployment.call(WAITING_CALLER)
            assert wait_for(lambda: deployment.settled() == STORED + STORED_AGAIN, LONG_S), worker.log_tail()
            told = deployment.cli("doctor", codes=(0, 1))
            found = {one["name"]: one["state"] for one in told["findings"]}  # type: ignore[attr-defined]
            states = {found[name] for name in ("redis.rights", "redis.clock", "broker", "workers")}
            assert (states, found["redis.memory"]) == ({"fine"}, "unknown")
