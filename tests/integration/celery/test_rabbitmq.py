"""RabbitMQ as the broker; the journal stays in Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue

from sockudo_publisher.config.settings import QUEUE
from sockudo_publisher.dev.embedded import free_ports
from sockudo_publisher.dev.embedded.process import ChildProcess, wait_for
from tests.support.caller import call
from tests.support.parts import need
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

_PROGRAM = shutil.which("rabbitmq-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))

#: One scheduler that does not spin where there is nothing to do, and modules that are loaded when they are used: half
#: of the seven seconds of processor time of a start.
CHEAP = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -mode interactive"


class RabbitMQ(ChildProcess):
    """A node of its own: data, ports, cookie and port mapper in `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__("rabbitmq", directory / "rabbitmq.log")
        self.directory = directory
        self.port, self._dist, self._mapper = free_ports(3)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def _command(self) -> list[str]:
        # Debian's wrapper changes user; the server's own script beside the library does not.
        return [
            "/usr/lib/rabbitmq/bin/rabbitmq-server"
            if os.path.exists("/usr/lib/rabbitmq/bin/rabbitmq-server")
            else str(_PROGRAM)
        ]

    def _environ(self) -> Mapping[str, str]:
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"] + ":/usr/lib/rabbitmq/bin:/usr/sbin",
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": CHEAP,
        }

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) != b""
        except OSError:
            return False

    def stop_port_mapper(self) -> None:
        """It leaves its process group, so it is asked to go."""
        mapper = shutil.which("epmd")
        if mapper:
            subprocess.run([mapper, "-port", str(self._mapper), "-kill"], capture_output=True, timeout=10, check=False)


@pytest.fixture(scope="module")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """Its start takes seconds: one for the file."""
    need("rabbitmq")
    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start(timeout_s=90)
        yield server
    finally:
        server.stop(30)
        server.stop_port_mapper()


@pytest.fixture
def rabbitmq(rabbitmq_server: RabbitMQ) -> RabbitMQ:
    """Without the queue of the test before."""
    with Connection(rabbitmq_server.url) as connection:
        Queue(QUEUE, channel=connection.default_channel).delete()
        Exchange(QUEUE, channel=connection.default_channel).delete()
    return rabbitmq_server


def test_rabbitmq_as_broker(stack: Stack, rabbitmq: RabbitMQ) -> None:
    """Doorbells and messages of canvases go through RabbitMQ, and it may go away for a while."""
    stack.environ["SOCKUDO_BROKER_URL"] = rabbitmq.url
    seen = stack.subscribe(stack.channel())
    worker = stack.worker()
    call(stack, 'publish.delay(C, "e", "now")\npublish.apply_async((C, "e", "later"), countdown=1, group_id="g")')
    seen.wait_for_count(2, 30)
    assert seen.data() == ["now", "later"]
    assert stack.redis.llen("sockudo") == 0, "nothing goes through the journal's Redis"
    assert "sockudo_publisher.drain" in worker.log_text()
    assert worker.stop(30) == 0


def test_worker_outlives_a_refused_queue(stack: Stack, rabbitmq: RabbitMQ) -> None:
    """PRECONDITION_FAILED at its start and NOT_FOUND later: it delivers meanwhile, and reads the queue once it can."""
    stack.environ["SOCKUDO_BROKER_URL"] = rabbitmq.url
    seen = stack.subscribe(stack.channel())
    with Connection(rabbitmq.url) as connection:
        queue = Queue(QUEUE, Exchange(QUEUE), QUEUE, queue_arguments={"x-max-priority": 5})(connection.channel())
        queue.declare()
        worker = stack.worker(wait=False)
        assert wait_for(lambda: "PRECONDITION_FAILED" in worker.log_text(), 60)
        call(stack, 'publish.delay(C, "e", "meanwhile")')
        seen.wait_for_count(1, 60)
        assert "lane drained without doorbell" in worker.log_text()
        queue.delete()
        worker.wait_until_ready()
        call(stack, 'publish.apply_async((C, "e", "later"), countdown=0.1, group_id="g")')
        seen.wait_for_count(2, 60)
        readies = worker.log_text().count("Connected to ")
        queue.delete()
        assert wait_for(lambda: worker.log_text().count("Connected to ") > readies, 60), worker.log_text()
        call(stack, 'publish.apply_async((C, "e", "again"), countdown=0.1, group_id="g")')
        seen.wait_for_count(3, 60)
    assert seen.data() == ["meanwhile", "later", "again"]
    assert "Unrecoverable" not in worker.log_text()
    assert worker.stop(60) == 0


def test_refusal_of_rabbitmq_is_told_as_such(stack: Stack, rabbitmq: RabbitMQ) -> None:
    """A queue of another kind under our name: nothing was sent, and the error names the cause."""
    stack.environ["SOCKUDO_BROKER_URL"] = rabbitmq.url
    told = call(
        stack,
        f"""
from kombu import Connection, Queue
with Connection({rabbitmq.url!r}) as connection:
    Queue("sockudo", durable=False, channel=connection.default_channel).declare()
    for options in ({{"group_id": "g"}}, {{"link": publish.si(C, "e", "next")}}):
        try: publish.apply_async((C, "e", "x"), **options)
        except JournalUnavailable as error: say([str(error), error.stored, bool(error.message_id)])
""",
    )
    assert told == [["the broker refused: PreconditionFailed", False, True]] * 2
