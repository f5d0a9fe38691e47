"""``AsyncSockudo``: the methods of :class:`~.sockudo.Sockudo` as coroutines, on threads of its own.

There is one implementation of the HTTP API; what is here runs it. Each method is listed, so that type checkers and
editors know it; a test compares the list with ``Sockudo``'s methods.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypedDict, TypeVar, cast

from ..errors import ConfigurationError
from ..redaction.frame_locals import without_locals
from .api.history import PagedItems
from .sockudo import Sockudo

if TYPE_CHECKING:
    import requests
    from typing_extensions import Self, Unpack

    from .http.retries import RetriesLike
    from .http.transport import FilePath

__all__ = ["AsyncSockudo", "ClientOptions"]

#: Calls of one client that run at the same time.
MAX_CONCURRENCY = 32

#: What `max_concurrency` may be at most: each is a thread.
MAX_THREADS = 1000

P = ParamSpec("P")
R = TypeVar("R")
Item = TypeVar("Item")


class ClientOptions(TypedDict, total=False):
    """The options of :class:`~.sockudo.Sockudo`, and ``max_concurrency``."""

    host: str | None
    port: int | None
    use_tls: bool | None
    ssl: bool | None
    secure: bool | None
    cluster: str | None
    path_prefix: str | None
    timeout: float
    encryption_master_key_base64: str | bytes | None
    encryption_master_key: str | bytes | None
    session: requests.Session | None
    verify: FilePath | bool
    cert: FilePath | tuple[FilePath, FilePath] | None
    max_event_bytes: int
    max_batch_events: int | None
    max_batch_bytes: int
    json_encoder: type[json.JSONEncoder] | None
    json_decoder: type[json.JSONDecoder] | None
    retries: RetriesLike
    show_answers: bool
    backend: None
    max_concurrency: int


class _Method(Generic[P, R]):
    """A method with the arguments ``P``. For type checkers: at run time it is a function."""

    if TYPE_CHECKING:

        def __get__(self, client: object, owner: type) -> Callable[P, R]: ...


def _in_thread(method: Callable[Concatenate[Sockudo, P], R]) -> _Method[P, Coroutine[Any, Any, R]]:
    """The method as a coroutine that runs it in one of the client's threads."""

    @without_locals
    @wraps(method)
    async def call(self: AsyncSockudo, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(lambda: method(self._client, *args, **kwargs))

    return cast("_Method[P, Coroutine[Any, Any, R]]", call)


def _at_once(method: Callable[Concatenate[Sockudo, P], R]) -> _Method[P, Coroutine[Any, Any, R]]:
    """The method as a coroutine that runs it in the loop: it makes no request, and takes microseconds."""

    @without_locals
    @wraps(method)
    async def call(self: AsyncSockudo, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self._client, *args, **kwargs)

    return cast("_Method[P, Coroutine[Any, Any, R]]", call)


def _by_page(method: Callable[Concatenate[Sockudo, P], Iterator[Item]]) -> _Method[P, AsyncIterator[Item]]:
    """The iterating method as an asynchronous one: each page is requested in one of the client's threads."""

    @without_locals
    @wraps(method)
    def call(self: AsyncSockudo, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Item]:
        items = cast("PagedItems[Item]", method(self._client, *args, **kwargs))  # raises here for bad arguments
        return self._iterate(items)

    return cast("_Method[P, AsyncIterator[Item]]", call)


class AsyncSockudo:
    """A client of one Sockudo app for coroutines: the methods, options and errors of :class:`Sockudo`.

    Each call runs in one of at most ``max_concurrency`` (32) threads of this client; further calls wait for their
    turn, and their deadlines begin with it. Cancelled before its turn, a call sends nothing; later it goes on in its
    thread, and its result is dropped. Methods that make no request (``authenticate…``, ``authorize…``, webhooks) run
    in the loop at once. ``iter_…`` methods are asynchronous iterators.

    ``async with AsyncSockudo(…) as client:`` ends the threads with the block. One client may be used by several loops
    and threads, and after a fork. Raises ``ConfigurationError`` as :class:`Sockudo` does.
    """

    @without_locals
    def __init__(self, app_id: str | int, key: str, secret: str, **options: Unpack[ClientOptions]) -> None:
        rest = self._take_concurrency(options)
        self._client = Sockudo(app_id, key, secret, **rest)

    @classmethod
    @without_locals
    def from_url(cls, url: str, **options: Unpack[ClientOptions]) -> Self:
        """A client from a URL: as :meth:`Sockudo.from_url`."""
        return cls._with(lambda rest: Sockudo.from_url(url, **rest), options)

    @classmethod
    @without_locals
    def from_env(cls, env: str = "SOCKUDO_URL", **options: Unpack[ClientOptions]) -> Self:
        """A client from the environment: as :meth:`Sockudo.from_env`."""
        return cls._with(lambda rest: Sockudo.from_env(env, **rest), options)

    @classmethod
    @without_locals
    def from_setting(cls, setting: str, url: str, **options: Unpack[ClientOptions]) -> Self:
        """As :meth:`from_url`, for a URL from a setting; error messages name that setting."""
        return cls._with(lambda rest: Sockudo.from_setting(setting, url, **rest), options)

    @classmethod
    def _with(cls, make: Callable[[dict[str, Any]], Sockudo], options: ClientOptions) -> Self:
        client = cls.__new__(cls)
        client._client = make(client._take_concurrency(options))
        return client

    def _take_concurrency(self, options: ClientOptions) -> dict[str, Any]:
        """Keep ``max_concurrency``; the other options are :class:`Sockudo`'s."""
        rest: dict[str, Any] = dict(options)
        threads = rest.pop("max_concurrency", MAX_CONCURRENCY)
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
            raise ConfigurationError(f"max_concurrency: expected a whole number from 1 to {MAX_THREADS}")
        self._max_concurrency = threads
        #: By process: a fork has none of its parent's threads. `setdefault` is atomic, so this needs no lock.
        self._executors: dict[int, ThreadPoolExecutor] = {}
        return rest

    def __repr__(self) -> str:
        return f"Async{self._client!r}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the client's threads. Calls in progress go on to their end; a later call starts new threads.

        A ``session`` of the caller's is left alone.
        """
        executor = self._executors.pop(os.getpid(), None)
        if executor is not None:
            executor.shutdown(wait=False)  # their connections end with the threads

    aclose = close

    async def _run(self, call: Callable[[], R]) -> R:
        loop, pid = asyncio.get_running_loop(), os.getpid()
        executor = self._executors.get(pid) or self._executors.setdefault(
            pid, ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="sockudo-client")
        )
        return await loop.run_in_executor(executor, copy_context().run, call)

    async def _iterate(self, items: PagedItems[Item]) -> AsyncIterator[Item]:
        while (page := await self._run(lambda: next(items.pages, None))) is not None:
            rest = deque(page)  # empty at the next request, whose error must show no item
            del page
            while rest:
                yield rest.popleft()

    # -- publishing -----------------------------------------------------------------------------------
    trigger = _in_thread(Sockudo.trigger)
    trigger_multi = trigger
    trigger_batch = _in_thread(Sockudo.trigger_batch)
    # -- users ----------------------------------------------------------------------------------------
    send_to_user = _in_thread(Sockudo.send_to_user)
    terminate_user_connections = _in_thread(Sockudo.terminate_user_connections)
    force_reconnect_user = _in_thread(Sockudo.force_reconnect_user)
    revoke_tokens = _in_thread(Sockudo.revoke_tokens)
    # -- channels -------------------------------------------------------------------------------------
    channels_info = _in_thread(Sockudo.channels_info)
    channel_info = _in_thread(Sockudo.channel_info)
    users_info = _in_thread(Sockudo.users_info)
    channels = _in_thread(Sockudo.channels)
    list_channels = channels
    channel = _in_thread(Sockudo.channel)
    get_channel = channel
    get_channel_users = _in_thread(Sockudo.get_channel_users)
    # -- history --------------------------------------------------------------------------------------
    channel_history = _in_thread(Sockudo.channel_history)
    get_channel_history = channel_history
    iter_channel_history = _by_page(Sockudo.iter_channel_history)
    history_state = _in_thread(Sockudo.history_state)
    reset_history = _in_thread(Sockudo.reset_history)
    purge_history = _in_thread(Sockudo.purge_history)
    # -- presence history -----------------------------------------------------------------------------
    channel_presence_history = _in_thread(Sockudo.channel_presence_history)
    iter_channel_presence_history = _by_page(Sockudo.iter_channel_presence_history)
    channel_presence_snapshot = _in_thread(Sockudo.channel_presence_snapshot)
    presence_history_state = _in_thread(Sockudo.presence_history_state)
    reset_presence_history = _in_thread(Sockudo.reset_presence_history)
    # -- messages and annotations ---------------------------------------------------------------------
    get_message = _in_thread(Sockudo.get_message)
    get_message_versions = _in_thread(Sockudo.get_message_versions)
    update_message = _in_thread(Sockudo.update_message)
    delete_message = _in_thread(Sockudo.delete_message)
    append_message = _in_thread(Sockudo.append_message)
    publish_annotation = _in_thread(Sockudo.publish_annotation)
    delete_annotation = _in_thread(Sockudo.delete_annotation)
    list_annotations = _in_thread(Sockudo.list_annotations)
    # -- any endpoint ---------------------------------------------------------------------------------
    call = _in_thread(Sockudo.call)
    send = _in_thread(Sockudo.send)
    # -- authentication and webhooks: no request ------------------------------------------------------
    authenticate = _at_once(Sockudo.authenticate)
    authorize_channel = authenticate
    authorize_private_channel = _at_once(Sockudo.authorize_private_channel)
    authenticate_private_channel = authorize_private_channel
    authorize_presence_channel = _at_once(Sockudo.authorize_presence_channel)
    authenticate_presence_channel = authorize_presence_channel
    authenticate_user = _at_once(Sockudo.authenticate_user)
    authenticate_user_form = _at_once(Sockudo.authenticate_user_form)
    webhook = _at_once(Sockudo.webhook)
    validate_webhook = _at_once(Sockudo.validate_webhook)
