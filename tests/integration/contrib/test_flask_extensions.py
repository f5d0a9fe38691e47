"""What docs/flask.md says about Flask-Login and Flask-WTF, with these two."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from sockudo_publisher import Sockudo
from sockudo_publisher.contrib.flask import Registry, blueprint
from tests.support.parts import need_module

pytestmark = pytest.mark.integration

FORM = {"socket_id": "1.2", "channel_name": "private-orders.ada"}


def application(*, exempt: bool) -> Any:
    """A test client of an application with both."""
    flask_login, flask_wtf = need_module("flask_login"), need_module("flask_wtf")
    permissions = Registry()

    @permissions.channel("private-orders.{name}")
    def may_see_orders(user: Any, name: str) -> bool:
        return bool(user.id == name)

    class User(flask_login.UserMixin):  # type: ignore[misc,name-defined]
        def __init__(self, user_id: str) -> None:
            self.id = user_id

    app = Flask("shop")
    app.secret_key = "for this test"
    flask_login.LoginManager(app).user_loader(User)
    csrf = flask_wtf.CSRFProtect(app)
    made = blueprint(permissions, user=lambda: flask_login.current_user, client=Sockudo("app", "key", "secret"))
    if exempt:
        csrf.exempt(made)
    app.register_blueprint(made, url_prefix="/pusher")

    @app.get("/sign-in/<name>")
    def sign_in(name: str) -> str:
        flask_login.login_user(User(name))
        return str(flask_wtf.csrf.generate_csrf())

    return app.test_client()


def test_users_of_flask_login_are_known() -> None:
    """A visitor is 401; a user may see what is theirs, and nothing else."""
    client = application(exempt=True)
    assert client.post("/pusher/auth", data=FORM).status_code == 401
    client.get("/sign-in/ada")
    assert client.post("/pusher/auth", data=FORM).status_code == 200
    client.get("/sign-in/bob")
    assert client.post("/pusher/auth", data=FORM).status_code == 403


def test_csrf_protect_asks_for_a_token_unless_exempt() -> None:
    """The page's two ways: an exempt blueprint, which the test above has, or the token as a header."""
    client = application(exempt=False)
    token = client.get("/sign-in/ada").text
    assert client.post("/pusher/auth", data=FORM).status_code == 400
    assert client.post("/pusher/auth", data=FORM, headers={"X-CSRFToken": token}).status_code == 200
