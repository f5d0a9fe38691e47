"""A poll, written for `pusher`, with this package."""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, jsonify, request, send_file, send_from_directory, session

from sockudo_publisher import Sockudo as Pusher
from sockudo_publisher import publish

url = urlsplit(os.environ["SOCKUDO_URL"])
pusher = Pusher(
    app_id=url.path.rpartition("/")[2],
    key=url.username,
    secret=url.password,
    host=url.hostname,
    port=url.port,
    ssl=url.scheme == "https",
)

HERE = Path(__file__).parent
OPTIONS = ("Green tea", "Black tea", "Coffee")
votes = dict.fromkeys(OPTIONS, 0)
app = Flask(__name__)
app.json.sort_keys = False
app.secret_key = os.environ.get("POLL_SECRET") or secrets.token_hex(32)


@app.get("/")
def page():
    session.setdefault("user", secrets.token_hex(4))
    return send_file(HERE / "page.html")


@app.get("/poll")
def poll():
    return jsonify(votes=votes, key=url.username, host=url.hostname, port=url.port, tls=url.scheme == "https")


@app.post("/vote")
def vote():
    option = request.form.get("option")
    if option not in votes or "user" not in session:
        return jsonify(error="no such option"), 400
    votes[option] += 1
    publish.delay("presence-poll", "voted", {"votes": votes}, collapse="votes")
    return jsonify(votes=votes)


@app.post("/pusher/auth")
def auth():
    if "user" not in session:
        return jsonify(error="open the page first"), 403
    member = {"user_id": session["user"], "user_info": {}}
    return jsonify(pusher.authenticate(request.form["channel_name"], request.form["socket_id"], member))


@app.get("/watching")
def watching():
    return jsonify(users=len(pusher.users_info("presence-poll")["users"]))


@app.get("/vendor/<path:name>")
def vendor(name):
    return send_from_directory(HERE / "node_modules" / "pusher-js" / "dist" / "web", name)
