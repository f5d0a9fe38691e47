"""The servers' configuration fits the settings' defaults: windows, times and sizes nest as the promise needs."""

from __future__ import annotations

import pytest

from sockudo_publisher.config.settings import Settings
from tests.unit.packaging.formats import mebibytes, seconds

pytestmark = pytest.mark.unit

#: Events a second that one node of Sockudo takes at most (2 cores, batches of 1,000: 42,500), rounded up.
SERVER_RATE = 50_000

DEFAULTS = Settings()


@pytest.mark.parametrize(
    ("directive", "value"),
    [
        ("proxy_ignore_client_abort", "on"),
        ("proxy_request_buffering", "on"),
        ("proxy_next_upstream", "off"),
        ("proxy_read_timeout", "60s"),
        ("client_max_body_size", "12m"),
    ],
)
def test_nginx_finishes_requests_whose_client_is_gone(deployment, directive, value):
    """Each directive that the property hangs on is there once."""
    assert deployment.nginx[directive] == [value]


def test_nginx_says_how_much_it_sent(deployment):
    """The header tells `never sent` from `unknown`; empty values are left out, so there is one."""
    assert deployment.nginx["add_header"] == [
        "X-Upstream-Bytes-Sent $upstream_bytes_sent always",
        "X-Upstream-Bytes-Sent $nothing_sent always",
    ]


def test_the_dedup_memory_holds_a_whole_window(deployment):
    """A full memory cache admits no new id, so it must hold rate x window of them."""
    window = deployment.sockudo["idempotency"]["ttl_seconds"]
    assert deployment.sockudo["cache"]["driver"] == "memory"
    assert deployment.sockudo["cache"]["memory"]["max_capacity"] >= SERVER_RATE * window


def test_the_cache_does_not_forget_before_the_window_ends(deployment):
    """cache.memory.ttl caps the life of every id, whatever idempotency says."""
    assert deployment.sockudo["cache"]["memory"]["ttl"] >= deployment.sockudo["idempotency"]["ttl_seconds"]


def test_the_server_remembers_as_long_as_workers_trust_it(deployment):
    """SOCKUDO_DEDUP_WINDOW, by default and as composed, is not longer than the server's."""
    (app,) = deployment.sockudo["app_manager"]["array"]["apps"]
    composed = float(deployment.service("worker")["environment"]["SOCKUDO_DEDUP_WINDOW"])
    remembered = {deployment.sockudo["idempotency"]["ttl_seconds"], app["policy"]["idempotency"]["ttl_seconds"]}
    assert max(DEFAULTS.dedup_window, composed) <= min(remembered)


def test_the_server_takes_the_batches_that_workers_send(deployment):
    """By count (at least 1,000), by bytes of one event and of the whole body."""
    (app,) = deployment.sockudo["app_manager"]["array"]["apps"]
    limits = app["policy"]["limits"]
    assert limits["max_event_batch_size"] >= max(1000, DEFAULTS.batch_max_events)
    assert limits["max_event_payload_in_kb"] * 1024 >= DEFAULTS.max_event_bytes
    assert deployment.sockudo["http_api"]["request_limit_in_mb"] * 2**20 >= DEFAULTS.batch_max_bytes
    assert app["enabled"] is True


def test_it_is_sockudo_that_refuses_a_body_too_large(deployment):
    """nginx lets more through than Sockudo takes, and keeps a batch of the usual size in memory."""
    server_limit = deployment.sockudo["http_api"]["request_limit_in_mb"] * 2**20
    assert mebibytes(*deployment.nginx["client_max_body_size"]) > server_limit
    assert mebibytes(*deployment.nginx["client_body_buffer_size"]) > DEFAULTS.batch_max_bytes


def test_nothing_on_the_way_gives_up_before_the_worker_does(deployment):
    """worker's delivery timeout < nginx's read timeout < the time nginx has to stop."""
    composed = float(deployment.service("worker")["environment"]["SOCKUDO_DELIVERY_TIMEOUT"])
    (read_timeout,) = deployment.nginx["proxy_read_timeout"]
    assert max(DEFAULTS.delivery_timeout, composed) < seconds(read_timeout)
    assert seconds(read_timeout) < seconds(deployment.service("nginx")["stop_grace_period"])
    assert deployment.service("nginx")["stop_signal"] == "SIGQUIT"


def test_a_stopping_worker_may_finish_its_request(deployment):
    """45 s: one delivery timeout and time to settle and hand the lanes over."""
    worker = deployment.service("worker")
    assert worker["stop_grace_period"] == "45s"
    assert worker["stop_signal"] == "SIGTERM"
    assert seconds("45s") >= DEFAULTS.delivery_timeout + 10


def test_sockudo_has_its_time_to_drain(deployment):
    """Docker waits longer than the server's own grace period."""
    grace = seconds(deployment.service("sockudo")["stop_grace_period"])
    assert grace > deployment.sockudo["shutdown_grace_period"]


def test_one_node_without_what_breaks_the_promise(deployment):
    """No rate limit by address, no history that swallows, no queue elsewhere; metrics are on."""
    sockudo = deployment.sockudo
    assert sockudo["adapter"]["driver"] == "local"
    assert sockudo["rate_limiter"]["enabled"] is False
    assert sockudo["history"]["enabled"] is False
    assert sockudo["queue"]["driver"] == "memory"
    assert sockudo["metrics"]["enabled"] is True


def test_subscriber_of_everything_has_room_for_all_lanes(deployment):
    """When its buffer is full Sockudo drops events and says nothing to the subscriber."""
    websocket = deployment.sockudo["websocket"]
    assert websocket["max_messages"] >= 2 * DEFAULTS.lanes * DEFAULTS.batch_max_events
    assert websocket["disconnect_on_buffer_full"] is True
