"""From the shop to a subscriber, with an embedded Redis and Sockudo and a real worker; needs the extra `testing`."""

import pytest
import shop

from sockudo_publisher.testing import Subscriber

pytest.importorskip("starlette", reason="pip install 'sockudo-publisher[testing]'")


@pytest.mark.usefixtures("sockudo_stack")
def test_a_subscriber_sees_what_is_shipped(sockudo_subscriber: Subscriber) -> None:
    sockudo_subscriber.subscribe("orders")
    shop.ship(789, ["tea"])
    (event,) = sockudo_subscriber.wait_for("orders", "shipped")
    assert event.data == {"id": 789, "lines": ["tea"]}
    sockudo_subscriber.assert_nothing_more()


def test_users_join_through_the_auth_endpoint(sockudo_server) -> None:
    def ask(channel: str, socket_id: str):
        return shop.authorize("ada", channel, socket_id)

    with Subscriber(sockudo_server, "private-user-ada", authorize=ask), pytest.raises(PermissionError):
        Subscriber(sockudo_server, "private-user-bob", authorize=ask)
