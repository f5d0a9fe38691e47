"""A page with a bell: it shows the progress of a Celery task, and rings at its end. See README.md."""

import os
import secrets
from pathlib import Path

import tasks
from flask import Flask, jsonify, request, send_file, send_from_directory, session

from sockudo_publisher.contrib.flask import FlaskSockudo, channel
from sockudo_publisher.contrib.pusher_js import pusher_js_options

HERE = Path(__file__).parent


def current_user() -> str | None:
    """Who signed in, from the session's cookie."""
    return session.get("user_id")


@channel("private-user.{user_id}")
def may_listen(user: str, user_id: str) -> bool:
    """Each user's channel is for that user alone."""
    return user == user_id


sockudo = FlaskSockudo(may_listen, user=current_user)


def create_app() -> Flask:
    app = Flask(__name__)
    app.secret_key = os.environ.get("BELL_SECRET") or secrets.token_hex(32)
    sockudo.init_app(app, url_prefix="/pusher")

    @app.get("/")
    def page():
        session.setdefault("user_id", secrets.token_hex(8))  # in place of your sign-in
        return send_file(HERE / "page.html")

    @app.get("/config")
    def config():
        """What the page needs to connect. The key is public, the secret is not."""
        pusher = pusher_js_options(os.environ.get("BELL_SOCKET_URL", ""))
        return jsonify({"pusher": pusher, "user_id": current_user()})

    @app.post("/exports")
    def start_export():
        if current_user() is None or request.headers.get("X-Requested-With") != "page":
            return jsonify(error="sign in first"), 403
        export_id = secrets.token_hex(8)
        tasks.export.delay(current_user(), export_id)
        return jsonify(export=export_id), 202

    @app.get("/vendor/<path:name>")
    def vendor(name: str):
        return send_from_directory(HERE / "node_modules" / "pusher-js" / "dist" / "web", name)

    return app
