"""Serve the calls of browsers and of Sockudo: authorize channels, sign users in, receive webhooks.

    SOCKUDO_URL=http://key:secret@127.0.0.1:6001/apps/app python examples/auth_endpoint.py 8000

Uses only the standard library (WSGI); the three functions work in any framework. Encrypted channels need
SOCKUDO_ENCRYPTION_MASTER_KEY_BASE64. In the browser:

    new Pusher(key, {
        channelAuthorization: {endpoint: "/pusher/auth", headers: {Authorization: "Bearer token-of-ada"}},
        userAuthentication: {endpoint: "/pusher/user-auth", headers: {Authorization: "Bearer token-of-ada"}},
    })
"""

import json
import sys
from urllib.parse import parse_qsl
from wsgiref.simple_server import make_server

from sockudo_publisher import InvalidWebhook, Sockudo, ValidationError

#: In place of your sessions.
USERS = {"Bearer token-of-ada": {"id": "ada", "name": "Ada"}, "Bearer token-of-bob": {"id": "bob", "name": "Bob"}}
MAX_BODY_BYTES = 1_000_000


def may_subscribe(user, channel):
    """Replace by your own rule. Here: every channel except those of another user."""
    return all(other["id"] == user["id"] or not channel.endswith(f"-of-{other['id']}") for other in USERS.values())


def authorize_channel(client, user, body):
    """POST /pusher/auth: read the form once, so that the checked channel is the signed one."""
    form = dict(parse_qsl(body.decode(errors="replace")))
    channel = form.get("channel_name", "")
    if not may_subscribe(user, channel):
        return 403, {"error": "not yours"}
    member = {"user_id": user["id"], "user_info": {"name": user["name"]}} if channel.startswith("presence-") else None
    return 200, client.authenticate(channel, form.get("socket_id", ""), member)


def sign_in(client, user, body):
    """POST /pusher/user-auth: pass the form unchanged, take the user from the session, never from the form."""
    return 200, client.authenticate_user_form(body, {"id": user["id"], "user_info": {"name": user["name"]}})


def take_webhook(client, environ, body):
    """POST /webhooks: called by Sockudo. Answer soon: it repeats a webhook without an answer."""
    for event in client.webhook(environ, body).events:
        print("webhook:", event.name, event.channel, event.user_id or "", flush=True)
    return 200, {}


def application(client):
    """The WSGI application around a client."""

    def respond(environ, body):
        path, user = environ["PATH_INFO"], USERS.get(environ.get("HTTP_AUTHORIZATION", ""))
        if environ["REQUEST_METHOD"] != "POST" or path not in ("/pusher/auth", "/pusher/user-auth", "/webhooks"):
            return 404, {"error": "not found"}
        if path == "/webhooks":
            return take_webhook(client, environ, body)
        if user is None:
            return 401, {"error": "who are you?"}
        return (authorize_channel if path == "/pusher/auth" else sign_in)(client, user, body)

    def wsgi(environ, start_response):
        size = int(environ.get("CONTENT_LENGTH") or 0)
        try:
            status, answer = respond(environ, environ["wsgi.input"].read(min(size, MAX_BODY_BYTES)))
        except ValidationError as error:  # a malformed form: the text names the field, never its value
            status, answer = 400, {"error": str(error)}
        except InvalidWebhook as error:
            status, answer = 401, {"error": str(error)}
        start_response(f"{status} -", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    return wsgi


if __name__ == "__main__":
    sockudo = Sockudo.from_env()
    with make_server("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000, application(sockudo)) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
