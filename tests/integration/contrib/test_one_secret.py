"""Why two apps must not share a secret: on the real server, a permission of one counts in the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockudo_publisher import Sockudo
from sockudo_publisher.contrib.permissions import Registry, authorize
from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer
from sockudo_publisher.dev.subscriber import Subscriber, SubscriptionRefused

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("secrets", [("same", "same"), ("one", "other")], ids=["one secret", "two secrets"])
def test_a_shared_secret_shares_permissions(secrets: tuple[str, str], sockudo: SockudoServer, tmp_path: Path) -> None:
    """The browser changes the key before the signature; with a secret for each app, that is refused."""
    apps = [SockudoApp("shop", "shop-key", secrets[0]), SockudoApp("bank", "bank-key", secrets[1])]
    registry = Registry()
    registry.add("private-{x}", lambda user, x: True)
    with SockudoServer(tmp_path, apps, program=sockudo.program) as server:
        shop = Sockudo("shop", "shop-key", secrets[0], host="127.0.0.1", port=server.port)
        with Subscriber(server.ws_url(apps[1].key)) as socket:
            form = f"socket_id={socket.socket_id}&channel_name=private-accounts".encode()
            auth = authorize(registry, shop, form, "ada").body["auth"].replace("shop-key", "bank-key")
            if secrets[0] == secrets[1]:
                socket.subscribe("private-accounts", auth=auth)
            else:
                with pytest.raises(SubscriptionRefused):
                    socket.subscribe("private-accounts", auth=auth)
