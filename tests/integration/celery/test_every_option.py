"""Each option of Celery and kombu with `publish.apply_async`: the event arrives, or the call is refused."""

from __future__ import annotations

import pytest

from sockudo_publisher.dev.embedded import RedisServer
from sockudo_publisher.tasks import options
from tests.support.caller import call
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

#: A value of each option, as Python: without another option that needs a message the event is stored at once.
AT_ONCE = {
    "add_to_parent": "True",
    "app_id": "'mine'",
    "argsrepr": "'shown'",
    "cluster_id": "'c'",
    "compression": "'zlib'",
    "confirm_timeout": "3",
    "connection": "elsewhere",
    "correlation_id": "'c'",
    "declare": "[]",
    "delivery_mode": "1",
    "exchange": "'theirs'",
    "exchange_type": "'topic'",
    "expires": "(now + timedelta(minutes=5)).isoformat()",
    "group_index": "3",
    "headers": "{'task': 'theirs.other', 'id': 'x', 'expires': 'never', 'mine': 1}",
    "ignore_result": "True",
    "immediate": "True",
    "kwargsrepr": "'shown'",
    "logfile": "'/nowhere'",
    "loglevel": "'DEBUG'",
    "mandatory": "True",
    "message_id": "'m'",
    "parent_id": "'p'",
    "priority": "9",
    "producer": "Producer(elsewhere)",
    "publisher": "Producer(elsewhere)",
    "queue": "'theirs'",
    "replaced_task_nesting": "1",
    "result_cls": "object",
    "retries": "7",
    "retry": "False",
    "retry_policy": "{'max_retries': 0}",
    "root_id": "'r'",
    "route_name": "'theirs.other'",
    "router": "object()",
    "routing_key": "'theirs'",
    "serializer": "'json'",
    "shadow": "'another name'",
    "soft_time_limit": "0.001",
    "stamped_headers": "['mark', 'without value']",
    "task_id": "'an-id'",
    "task_type": "object()",
    "throw": "True",
    "time_limit": "0.002",
    "timeout": "1",
    "timestamp": "0",
    "type": "'t'",
    "x-anything": "1",
}

#: Those that make the event wait in the journal.
LATER = {
    "countdown": "0.1",
    "eta": "(datetime.now(timezone.utc) + timedelta(seconds=0.5)).isoformat()",
}

#: Those that make a message by themselves, alone in a process without another Celery app.
AS_MESSAGE = {
    "chain": "[publish.si(C, 'step', 'of chain')]",
    "chord": "publish.si(C, 'step', 'of chord')",
    "group_id": "'g'",
    "link": "publish.si(C, 'step', 'of link')",
    "link_error": "publish.si(C, 'step', 'of link_error')",
    "reply_to": "'q'",
}

#: Those that are refused, with what they begin with.
REFUSED = {
    "content_encoding": "content_encoding: ",
    "content_type": "content_type: ",
    "expiration": "expiration: ",
}

SOURCE = """
from kombu import Connection, Producer
from sockudo_publisher.wiring.private_celery import celery_app
elsewhere = Connection({elsewhere!r})
now = datetime.now(timezone.utc)
def ask(name, options):
    if name == "stamped_headers": options["mark"] = "stamp"
    try: say([name, type(publish.apply_async((C, "e", name), **options)).__name__])
    except (ValidationError, ConfigurationError) as error: say([name, str(error)])
"""


def test_tables_name_every_option() -> None:
    """What Celery adds gets its place here, and in the tables of `options`."""
    assert {*AT_ONCE, *LATER, *AS_MESSAGE, *REFUSED} - {"x-anything"} == options._KNOWN


@pytest.mark.parametrize("with_countdown", [False, True], ids=["alone", "with countdown"])
def test_event_arrives_or_its_call_is_refused(stack: Stack, their_broker: RedisServer, with_countdown: bool) -> None:
    """No event is lost or sent to a queue that our workers do not read; alone, nearly all options store at once."""
    seen = stack.subscribe(stack.channel())
    stack.worker()
    more = ", 'countdown': 0.1" if with_countdown else ""
    given = {**AT_ONCE, **LATER, **AS_MESSAGE, **dict.fromkeys(REFUSED, "'x'")}
    lines = [f"ask({name!r}, {{{name!r}: {value}{more}}})" for name, value in given.items()]
    told = dict(call(stack, SOURCE.format(elsewhere=their_broker.url) + "\n".join(lines)))
    wanted = dict.fromkeys(AT_ONCE, "ScheduledResult" if with_countdown else "StoredResult")
    wanted |= dict.fromkeys(LATER, "ScheduledResult")
    wanted |= dict.fromkeys(AS_MESSAGE, "AsyncResult")
    for name, error_text in REFUSED.items():
        assert told[name].startswith(error_text)
        wanted.pop(name, None)
    assert {name: told[name] for name in wanted} == wanted
    names = sorted(given.keys() - REFUSED.keys())
    # And what follows in the chain and by the link: nothing failed, and a chord without a group has no end.
    seen.wait_for_count(len(names) + 2, 40)
    arrived = [event.data for event in seen.events()]
    assert sorted(data for data in arrived if not data.startswith("of ")) == names
    assert sorted(data for data in arrived if data.startswith("of ")) == ["of chain", "of link"]
