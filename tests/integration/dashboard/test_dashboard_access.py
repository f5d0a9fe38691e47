"""The running dashboard refuses what comes from elsewhere, and starts only where that is safe."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import redis

from tests.integration.dashboard.conftest import TOKEN, Dashboard, Serve
from tests.support.warm import run_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

BEARER = {"Authorization": f"Bearer {TOKEN}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def is_paused(client: redis.Redis) -> bool:
    return bool(client.exists("sockudo:{default}:operator_pause"))


def test_rebound_name_reads_and_does_nothing(shared: Dashboard, client: redis.Redis) -> None:
    """The Host header has the name that the attacker has pointed here."""
    rebound = {"Host": f"evil.example:{shared.port}", "Origin": f"http://evil.example:{shared.port}"}
    assert shared.get("/api/look", **rebound)[0] == 403
    assert shared.act("pause", rebound, reason="x")[0] == 403
    assert shared.request("GET", "/", headers=rebound)[0] == 403
    assert not is_paused(client)


def test_other_origin_does_nothing(shared: Dashboard, client: redis.Redis) -> None:
    """A page elsewhere, a form, and a page in a frame without an origin."""
    for origin in ("http://evil.example", "null", f"http://localhost:{shared.port}"):
        assert shared.act("pause", {"Origin": origin}, reason="x")[0] == 403
    assert shared.act("pause", {"Sec-Fetch-Site": "cross-site"}, reason="x")[0] == 403
    form = {**FORM, "Origin": f"http://{shared.host}"}
    assert shared.request("POST", "/api/pause", b"reason=x", form)[0] == 415
    assert not is_paused(client)
    assert shared.act("pause", reason="x")[0] == 200
    assert is_paused(client)


def test_request_of_a_proxy_needs_a_token(shared: Dashboard) -> None:
    """Its connection is from this machine, its client is not."""
    assert shared.get("/api/look", **{"X-Forwarded-For": "192.0.2.1"})[0] == 403


def test_nothing_is_shown_without_the_token(guarded: Dashboard, client: redis.Redis) -> None:
    """The page leads to the form; the rest is refused."""
    status, headers, _ = guarded.request("GET", "/")
    assert (status, headers["Location"]) == (303, "login")
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": "sockudo_dashboard=1.x"}):
        assert guarded.get("/api/look", **wrong)[0] == 401
        assert guarded.act("pause", wrong, reason="x")[0] == 401
    assert not is_paused(client)


def test_bearer_is_enough_for_a_program(guarded: Dashboard, client: redis.Redis) -> None:
    """Without an Origin, which only browsers send."""
    assert guarded.get("/api/look", **BEARER)[0] == 200
    headers = {**BEARER, "Content-Type": "application/json"}
    assert guarded.request("POST", "/api/pause", {"reason": "by a program"}, headers)[0] == 200
    assert is_paused(client)


def test_sign_in_gives_a_strict_cookie(guarded: Dashboard) -> None:
    """Which a script cannot read, and which signs in until it is deleted."""
    own = {**FORM, "Origin": f"http://{guarded.host}"}
    status, _, page = guarded.request("POST", "/login", b"token=wrong", own)
    assert (status, b"not the token" in page, b" hidden>That" in page) == (401, True, False)
    status, headers, _ = guarded.request("POST", "/login", f"token={TOKEN}".encode(), own)
    assert status == 303
    cookie = headers["Set-Cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {one.strip().lower() for one in cookie.split(";")}
    assert TOKEN not in cookie
    session = {"Cookie": cookie.partition(";")[0]}
    assert guarded.get("/api/look", **session)[0] == 200
    assert (
        guarded.request("POST", "/login", f"token={TOKEN}".encode(), {**FORM, "Origin": "http://evil.example"})[0]
        == 403
    )
    headers = guarded.request("POST", "/logout", b"", {**own, **session})[1]
    assert "Max-Age=0" in headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["/", "/login", "/page/main.js", "/api/look", "/page/nothing", "/nothing"])
def test_every_answer_has_the_protecting_headers(guarded: Dashboard, path: str) -> None:
    """Refusals too."""
    for given in ({}, BEARER):
        _, headers, _ = guarded.request("GET", path, headers=given)
        assert re.match(r"default-src 'none'; script-src 'self';", headers["Content-Security-Policy"])
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/page/../application.py", "/page/..%2fapplication.py", "/page/index.html", "/page/%2e%2e/session.py"]
)
def test_no_other_file_is_served(shared: Dashboard, path: str) -> None:
    """Only those of the list."""
    assert shared.request("GET", path)[0] == 404


@pytest.mark.parametrize("action", ["pause", "resume", "replay", "purge", "cancel", "preview"])
def test_read_only_refuses_each_action(kept: Serve, client: redis.Redis, action: str) -> None:
    """With 403; reading goes on."""
    shown = kept("--read-only")
    status, answer = shown.act(action, app="default", reason="x", all=True, id="x", action="purge")
    assert (status, answer["error"]) == (403, "this dashboard is read-only")
    assert shown.get("/api/look")[1]["is_read_only"]
    assert not is_paused(client)


def ended(environ: Mapping[str, str], *options: str) -> tuple[int, str]:
    """Run the command, which has to end by itself: its exit code and what it says."""
    done = run_python(["-m", "sockudo_publisher.cli", "dashboard", *options], env=environ, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_port_in_use_is_a_clear_error(environ: dict[str, str]) -> None:
    """Exit code 2: nothing was done."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = ended(environ, "--port", str(port))
    assert code == 2
    assert f"--port {port}: taken" in text


def test_other_address_needs_a_token(environ: dict[str, str]) -> None:
    """Exit code 2, and the variable is named."""
    for options in (("--host", "0.0.0.0"), ("--host", "192.0.2.1"), ("--allow-host", "ops.example.com")):
        code, text = ended(environ, "--port", "0", *options)
        assert code == 2
        assert "SOCKUDO_DASHBOARD_TOKEN" in text


def test_address_of_another_machine_is_a_clear_error(environ: dict[str, str]) -> None:
    code, text = ended({**environ, "SOCKUDO_DASHBOARD_TOKEN": TOKEN}, "--host", "192.0.2.1", "--port", "0")
    assert code == 2
    assert "cannot listen" in text


def test_short_token_is_refused_and_not_shown(environ: dict[str, str]) -> None:
    code, text = ended({**environ, "SOCKUDO_DASHBOARD_TOKEN": "too-short"}, "--port", "0")
    assert code == 2
    assert "SOCKUDO_DASHBOARD_TOKEN: 9 characters" in text
    assert "too-short" not in text


def test_token_of_a_file_signs_in(
    serve: Callable[[Mapping[str, str]], Serve], environ: dict[str, str], tmp_path: Path
) -> None:
    """On all addresses of this machine, under an allowed name and under an address."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    shown = serve(environ)(
        *("--host", "0.0.0.0", "--allow-host", "ops.example.com"), SOCKUDO_DASHBOARD_TOKEN_FILE=str(tmp_path / "token")
    )
    for host, status in (("ops.example.com", 200), ("192.0.2.1:80", 200), ("other.example.com", 403)):
        assert shown.get("/api/look", **{**BEARER, "Host": host})[0] == status


def test_signal_ends_it_with_0(dashboard: Dashboard) -> None:
    """Also while a client keeps its connection open."""
    with socket.create_connection(("127.0.0.1", dashboard.port)):
        dashboard.process.send_signal(signal.SIGTERM)
        assert dashboard.process.wait(timeout=30) == 0
    assert json.loads(dashboard.process.stdout.readline()) == {"ok": True, "event": "ended"}


def test_without_the_extra_it_says_what_to_install(environ: dict[str, str], tmp_path: Path) -> None:
    """Starlette cannot be found."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'starlette' else find(name, *rest)\n"
    )
    done = subprocess.run(
        [*_python(), "-m", "sockudo_publisher.cli", "dashboard"],
        env={**environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'sockudo-publisher[dashboard]'" in done.stderr


def _python() -> list[str]:
    import sys

    return [sys.executable]
