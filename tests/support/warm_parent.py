"""A Python process that has imported what our programs import, and forks one for each request (tests/support/warm.py).

Run as a script with the number of a socket: a request is a JSON object and the three standard streams. It has no
threads, so a fork is safe, and it imports no module that reads settings, so each child reads its own.

With a second number, the first is of a listening socket: each connection has a fork of its own, and all end when the
second, a pipe of the test run, is closed.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import functools
import gc
import importlib
import importlib.metadata
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import types
import warnings
from typing import Any

#: What a worker, a caller or a command imports anyway. Modules that tie Celery to our settings are the child's.
MODULES = [
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.state",
    "celery.fixups.django",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "cffi.cparser",
    "django.contrib.messages.storage.fallback",
    "django.core.management",
    "django.core.servers.basehttp",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.forms.models",
    "django.template.backends.django",
    "django.test",
    "django.views.generic",
    "kombu.mixins",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "nacl.secret",
    "redis",
    "requests",
    "sockudo_publisher.canaries.ask",
    "sockudo_publisher.client.sockudo",
    "sockudo_publisher.config.settings",
    "sockudo_publisher.dead_event",
    "sockudo_publisher.delivery.drain",
    "sockudo_publisher.journal.app.workers",
    "sockudo_publisher.journal.dead_reports",
    "sockudo_publisher.journal.holder",
    "sockudo_publisher.journal.producer",
    "sockudo_publisher.journal.schedule.due",
    "sockudo_publisher.metrics.scrape",
    "sockudo_publisher.publishing.prepare",
    "sockudo_publisher.publishing.store",
    "sockudo_publisher.telemetry.choose",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
]
#: Bytes of one request.
MAX_REQUEST = 1 << 17

#: The package reads its crash point when it is imported.
CRASH_POINT = "SOCKUDO_FAULTPOINT"

base_path: list[str] = []


def connection(listener: socket.socket, run_ends: int) -> socket.socket | None:
    """In a child: the connection that it serves. In the parent: None, when the test run has ended."""
    while True:
        ready, _, _ = select.select([listener, run_ends], [], [])
        if run_ends in ready:
            return None
        accepted, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.close(run_ends)
            return accepted
        accepted.close()


def serve(requests: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Answer requests until the other end closes. In a child: returns what it is to become, and its streams."""
    while True:
        message, streams, _, _ = socket.recv_fds(requests, MAX_REQUEST, 3)
        if not message:
            return None
        request = json.loads(message)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            requests.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())
            continue
        if "look" in request:
            ended = os.waitid(os.P_PID, request["look"], os.WEXITED | os.WNOWAIT)
            status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            requests.send(json.dumps({"code": status}).encode())
            continue
        pid = os.fork()
        if pid == 0:
            requests.close()
            return request, streams
        for stream in streams:
            os.close(stream)
        requests.send(json.dumps({"pid": pid}).encode())


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Take the session, streams, directory, environment and import path of a new interpreter."""
    if request["new_session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["directory"])
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    errors = errors or ("strict" if encoding else "")
    for number, (name, mode) in enumerate((("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))):
        old = getattr(sys, name)  # it takes its file for /dev/null, where every seek succeeds
        new = io.TextIOWrapper(
            open(number, mode, closefd=False),  # noqa: SIM115 -- for as long as the process lives
            encoding=codecs.lookup(encoding).name if encoding else old.encoding,
            errors=old.errors if name == "stderr" else errors or old.errors,
            line_buffering=name == "stderr",
            write_through=bool(os.environ.get("PYTHONUNBUFFERED")),
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    if request["warnings"]:  # of -W: modules that are imported in advance have not been asked
        sys.warnoptions.append(request["warnings"])
        warnings.simplefilter(request["warnings"])
    first = request["arguments"][0]
    own = os.getcwd() if first == "-m" else "" if first == "-c" else os.path.dirname(os.path.abspath(first))
    sys.path[:] = [own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *base_path]
    importlib.invalidate_caches()
    if os.environ.get(CRASH_POINT):
        forget_package()


def forget_package() -> None:
    """Our package is imported anew, with this child's crash point, from where it was; what it rests on stays."""
    (directory,) = importlib.import_module("sockudo_publisher").__path__
    for name in [name for name in sys.modules if name.partition(".")[0] == "sockudo_publisher"]:
        del sys.modules[name]
    sys.path.insert(0, os.path.dirname(directory))
    importlib.import_module("sockudo_publisher")
    del sys.path[0]


def run(arguments: list[str]) -> None:
    """Run a module, a command or a script, as `python ARGUMENTS` does."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if arguments[0] == "-c":
        source, sys.argv = arguments[1], ["-c", *arguments[2:]]
        exec(compile(source, "<string>", "exec"), main.__dict__)
        return
    sys.argv = arguments
    main.__dict__["__file__"] = arguments[0]
    with open(arguments[0], encoding="utf-8") as script:
        source = script.read()
    exec(compile(source, arguments[0], "exec"), main.__dict__)


def end(error: BaseException | None) -> None:
    """End as an interpreter does: threads, exit functions, streams, code; without the clearing of all modules.

    That copies each page of what was imported in advance: a tenth of a second of processor time. Returns where only an
    interpreter can end: a Ctrl-C, which ends it by its signal, and a stream that cannot be flushed.
    """
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if code and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
    elif isinstance(error, Exception):
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    elif error is not None:
        return
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code & 0xFF)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is the test runner's
    del sys.path[0]  # this file's directory
    base_path[:] = sys.path
    sys.path.insert(0, os.getcwd())  # the package beside these tests, in a copy of the checkout too
    gc.disable()
    for name in MODULES:
        with contextlib.suppress(Exception):  # not installed; or in an old Django not to be had without settings
            importlib.import_module(name)
    # Each connection to Redis parses the whole metadata of its client for one line.
    importlib.metadata.version = functools.lru_cache(importlib.metadata.version)
    gc.collect()
    gc.freeze()
    gc.enable()
    # Before each child of a prefork pool, billiard collects garbage: once is enough, and shared pages stay shared.
    os.register_at_fork(before=gc.freeze)
    own = socket.socket(fileno=int(sys.argv[1]))
    requests = own if len(sys.argv) == 2 else connection(own, int(sys.argv[2]))
    child = None if requests is None else serve(requests)
    if child is None:
        os._exit(0)
    else:
        become(*child)
        failure: BaseException | None = None
        try:
            run(child[0]["arguments"])
        except BaseException as error:
            failure = error
        if not child[0]["warnings"]:  # or what a module's end warns of is to be seen
            end(failure)
        if failure is not None:
            raise failure
