"""docs/django.md, as its reader does: the first section in a new project, an event in the browser, the admin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from sockudo_publisher.dev.embedded import SockudoApp, SockudoServer, free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.journal.keys import lane_keys
from tests.support.browser import Browser, browser, chromium
from tests.support.parts import need
from tests.support.pusher_js import pusher_js_modules
from tests.support.warm import run_python

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "django.md").read_text()
START, _, REST = PAGE.partition("## Publish")
#: What the project of the reader has already.
URLS = """
from django.contrib import admin
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.csrf import ensure_csrf_cookie

urlpatterns = [
    path("", ensure_csrf_cookie(lambda request: render(request, "desk.html"))),
    path("admin/", admin.site.urls),
]
"""
CHANNELS = """
from sockudo_publisher.contrib.django import channel

@channel("private-orders.{user_id}")
def may_join(user, user_id):
    return str(user.pk) == user_id
"""
SUBSCRIBE = """
pusher.signin();
pusher.subscribe("private-orders.{{ user.pk }}").bind("created", (order) => {
  list.append(Object.assign(document.createElement("li"), { textContent: order.item }));
});
"""
#: Seconds for a program to start, on a machine with a lot to do.
START_S = 120


def block(language: str, comment: str) -> str:
    """The block of the first section that begins with this comment."""
    return next(one for one in re.findall(rf"^```{language}\n(.*?)^```", START, re.M | re.S) if one.startswith(comment))


@pytest.fixture(scope="session")
def sockudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SockudoServer]:
    """A real server with an app whose users may sign in."""
    need("sockudo")
    app = SockudoApp("desk", "desk-key", policy={"features": {"enable_user_authentication": True}})
    with SockudoServer(tmp_path_factory.mktemp("desk"), (app,)) as server:
        yield server


class Project:
    """What the reader has typed."""

    def __init__(self, directory: Path, url: str, redis_url: str) -> None:
        self.directory = directory
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SOCKUDO_", "DJANGO_"))}
        self.env = {**clean, "PYTHONPATH": str(ROOT), "DJANGO_SUPERUSER_PASSWORD": "x"}
        subprocess.run(
            [sys.executable, "-m", "django", "startproject", "desk", str(directory)], check=True, timeout=START_S
        )
        key, port = re.fullmatch(r"http://([^:]+):.*:(\d+)/apps/.*", url).groups()
        pusher = (pusher_js_modules() / "pusher-js" / "dist" / "web" / "pusher.min.js").read_text()
        settings = 'INSTALLED_APPS += ["desk"]\n' + block("python", "# settings.py")
        settings = settings.replace("http://app-key:app-secret@127.0.0.1:6001/apps/app-id", url)
        settings = settings.replace("redis://127.0.0.1:6379/0", redis_url)
        page = block("js", "// in a page").replace("app-key", key).replace("wsPort: 6001", f"wsPort: {port}")
        script = f"{{% verbatim %}}{pusher}{{% endverbatim %}}</script><script>{page}{SUBSCRIBE}"
        html = f"<ul id=list></ul><script>{script}</script>"
        with (directory / "desk" / "settings.py").open("a") as file:
            file.write(settings)
        for name, text in {
            "urls.py": URLS + block("python", "# urls.py"),
            "channels.py": CHANNELS,
            "templates/desk.html": f"<!doctype html><meta charset=utf-8>{html}",
        }.items():
            (directory / "desk" / name).parent.mkdir(exist_ok=True)
            (directory / "desk" / name).write_text(text)

    def manage(self, *arguments: str) -> str:
        done = run_python(["manage.py", *arguments], cwd=self.directory, env=self.env, timeout=START_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def warn_of_the_table(self, *migrate: str) -> None:
        """The command warns of the outbox's table, as the page says, and makes it."""
        for arguments, warns in ((migrate, True), (("check", "--database", "default"), False)):
            done = run_python(["manage.py", *arguments], cwd=self.directory, env=self.env, timeout=START_S)
            assert done.returncode == 0, done.stderr
            assert ("sockudo.W002" in done.stderr) is warns, done.stderr

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        with (self.directory / f"{arguments[0]}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments], cwd=self.directory, env=self.env, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.mark.long
def test_from_an_empty_project_to_the_browser(
    sockudo: SockudoServer, redis_url: str, tmp_path: Path, browser: Browser
) -> None:
    """Every block of the first section; then a dead letter is looked at and purged in the admin."""
    desk = Project(tmp_path, sockudo.url, redis_url)
    desk.warn_of_the_table("migrate", "-v0")
    desk.manage("createsuperuser", "--noinput", "--username=ada", "--email=ada@example.org")
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    with ExitStack() as running:
        running.enter_context(desk.running("runserver", "--noreload", str(port)))
        running.enter_context(desk.running("sockudo", "worker"))
        assert wait_for(lambda: answers(site), START_S), (tmp_path / "runserver.log").read_text()
        browser.open(f"{site}/admin/login/")
        browser.evaluate(
            "document.querySelector('#id_username').value = 'ada';"
            "document.querySelector('#id_password').value = 'x';"
            "document.querySelector('#login-form').submit()"
        )
        browser.wait_for("location.pathname === '/admin/'")
        browser.open(f"{site}/")
        browser.wait_for("pusher.channel('private-orders.1').subscribed")
        browser.wait_for("pusher.user.user_data?.id === '1'")
        call = 'publish.delay("private-orders.1", "created", {"item": "book"})'
        desk.manage("shell", "-c", f"from sockudo_publisher import publish; {call}")
        browser.wait_for("document.querySelector('#list').innerText === 'book'")
        with redis.Redis.from_url(redis_url) as client:
            event = (
                b'{"name":"created","channel":"private-orders.1","data":"{\\"item\\":\\"lamp\\"}","message_id":"m-1"}'
            )
            fields = {"channel": "private-orders.1", "reason": "refused", "message": "no", "attempts": 1}
            client.xadd(lane_keys("default", 0).dead, {**fields, "first_ms": 0, "expiry": 0, "item": event})
        browser.open(f"{site}/admin/sockudo_outbox/deadletter/")
        shoot(browser, tmp_path / "dead-letters.png")
        browser.evaluate("document.querySelector('#result_list th a').click()")
        browser.wait_for("[...document.querySelectorAll('button')].some((one) => one.innerText === 'Show the payload')")
        assert "lamp" not in browser.evaluate("document.body.innerText")
        browser.evaluate(
            "[...document.querySelectorAll('button')].find((one) => one.innerText === 'Show the payload').click()"
        )
        browser.wait_for("document.querySelector('.sockudo-payload')?.innerText.includes('lamp')")
        shoot(browser, tmp_path / "dead-letter.png")
        browser.evaluate("document.querySelector('.sockudo-purge').click()")
        browser.wait_for("document.querySelector('input[name=confirmed]') !== null")
        browser.evaluate("document.querySelector('input[type=submit][value=\"Yes, purge\"]').click()")
        browser.wait_for("document.body.innerText.includes('1 dead letter purged.')")
    log = (tmp_path / "runserver.log").read_text()
    assert set(re.findall(r'"(?:GET|POST) (\S+) HTTP/1.1" [45]', log)) <= {"/favicon.ico"}, log
    assert {text for text in browser.complaints if "404 (Not Found)" not in text} == set()


def shoot(browser: Browser, file: Path) -> None:
    """A picture of the page, for a person who looks at the test's directory."""
    import base64

    file.write_bytes(base64.b64decode(browser.call("Page.captureScreenshot")["data"]))


def test_tables_of_the_page_agree_with_the_code() -> None:
    """Ids of checks, keys of the setting, permissions, signals."""
    contrib = ROOT / "sockudo_publisher" / "contrib" / "django"
    ids = set(re.findall(r"sockudo\.([EW]\d+)", (contrib / "checks.py").read_text()))
    ids |= {
        f"{kind}{number}" for kind, number in [("E", "011"), ("E", "012"), ("W", "010"), ("W", "011"), ("W", "012")]
    }
    checks = REST.partition("## System checks")[2].partition("## Admin")[0]
    assert set(re.findall(r"\b([EW]\d{3})\b", checks)) == ids
    setting = (contrib / "setting.py").read_text()
    names = set(re.findall(r'"([A-Z_]+)"', re.search(r"^NAMES = (.*)$", setting, re.M)[1])) | {"OUTBOX_NOTIFY"}
    table = REST.partition("## Settings")[2].partition("## System checks")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", table, re.M)) == names
    signals = set(re.findall(r"^([a-z_]+) = Signal\(\)", (contrib / "signals.py").read_text(), re.M))
    assert signals <= set(re.findall(r"`([a-z_]+)`", REST.partition("## Webhooks")[2]))
    codenames = set(re.findall(r'\("([a-z_]+)", "Can', (contrib / "models.py").read_text()))
    assert codenames <= set(re.findall(r"`([a-z_]+)`", REST.partition("## Admin")[2]))
