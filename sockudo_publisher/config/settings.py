"""One typed settings object, from ``configure()``, the project's settings, the environment and the defaults.

Every variable is listed in ``docs/settings.md`` with unit and default. Nothing is read before :func:`get_settings` is
first called. A wrong value raises :class:`ConfigurationError` that names where it was given and what is expected;
values are never echoed, because several of them hold secrets. Imports the errors, and this room.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..errors import ConfigurationError
from ..redaction.frame_locals import without_locals
from ..redaction.secret import Secret, keep_secret
from .environment import Reader
from .kinds import DEFAULT_APP, KINDS, PREFIX, QUEUE, SECRETS, known_variables, variable_of
from .misspelled import nearest_name
from .redis_url import RedisAddress

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "DEFAULT_APP",
    "QUEUE",
    "Fields",
    "Settings",
    "configure",
    "get_settings",
    "on_configure",
    "reload_settings",
    "temporary_settings",
    "use_project_settings",
]

#: Seconds that must remain of the dedup window after one delivery timeout, or a resend of the `park`
#: policy could never start (design: no resend starts later than window - delivery timeout - 5 s).
WINDOW_MARGIN_S = 5.0


@keep_secret(*SECRETS)
@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Times are seconds, sizes bytes. Raises :class:`ConfigurationError`.

    Fields that may hold a secret are in no ``repr``, and in ``vars()`` as a :class:`Secret`.
    ``given_as``: the names in error messages of fields that were not given in Python: ``{"lanes": "SOCKUDO_LANES"}``.
    """

    url: str | None = field(default=None, repr=False)
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    broker_url: str = field(default="", repr=False)
    encryption_master_key_base64: str | None = field(default=None, repr=False)
    timeout: float = 5.0
    delivery_timeout: float = 30.0
    batch_max_events: int = 500
    batch_max_bytes: int = 4 * 1024 * 1024
    lanes: int = 8
    dedup_window: float = 120.0
    on_uncertain: Literal["resend", "park"] = "resend"
    max_backlog: int = 1_000_000
    max_scheduled: int = 1_000_000
    max_event_bytes: int = 10_240
    key_ttl: float = 86_400.0
    max_rate: float = 0.0
    redis_wait: tuple[int, int] | None = None
    on_expired: Literal["drop", "dead"] = "drop"
    on_unavailable: Literal["raise", "log"] = "raise"
    dead_max: int = 100_000
    dead_max_bytes: int = 64 * 1024 * 1024
    dead_ttl: float = 30 * 86_400.0
    show_answers: bool = False
    apps: Mapping[str, str] = field(default_factory=dict, repr=False)
    namespace: str = ""
    json: Literal["json", "orjson"] = "json"
    json_encoder: Callable[[Any], str | bytes] | None = None
    telemetry: tuple[str, ...] = ()
    log: Literal["text", "json"] = "text"
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    dashboard_token: str | None = field(default=None, repr=False)
    given_as: InitVar[Mapping[str, str]] = MappingProxyType({})

    def __post_init__(self, given_as: Mapping[str, str]) -> None:
        def keep(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        keep("_given_as", dict(given_as))
        for name, kind in KINDS.items():
            keep(name, kind.check(getattr(self, name), self.called(name)))
        address = RedisAddress.from_url(self.redis_url, setting=self.called("redis_url"))
        keep("_redis_address", address)
        if not self.broker_url:
            # Unchanged if kombu reads it as redis-py does: people compare the two texts.
            plain = address.scheme == "redis" and "?" not in self.redis_url
            keep("broker_url", self.redis_url if plain else address.broker_url())
        shortest_s = self.delivery_timeout + WINDOW_MARGIN_S
        if self.dedup_window <= shortest_s:
            raise ConfigurationError(
                f"{self.called('dedup_window')}: {self.dedup_window:g} s, must be longer than "
                f"{self.called('delivery_timeout')} + {WINDOW_MARGIN_S:g} s ({shortest_s:g} s)"
            )

    def called(self, name: str, key: str | None = None) -> str:
        """The name of a field in error messages; ``key``: of one entry of ``apps``."""
        entry = "" if key is None else f"[{key!r}]"
        given_as: Mapping[str, str] = self.__dict__["_given_as"]
        if name in given_as:
            return given_as[name] + entry
        variable, value, default = variable_of(name), getattr(self, name), _DEFAULTS[name]
        is_given = type(value) is not type(default) or value != default
        return f"{name}{entry} ({variable})" if is_given else variable + entry

    @property
    def redis_address(self) -> RedisAddress:
        """:attr:`redis_url`, read."""
        # Not a cached_property, which has a lock before Python 3.12: a fork would meet it locked.
        address: RedisAddress = self.__dict__["_redis_address"]
        return address

    @property
    def queue(self) -> str:
        """The Celery queue of this deployment's doorbells and `publish` messages."""
        return f"{QUEUE}.{self.namespace}" if self.namespace else QUEUE

    def app_urls(self) -> dict[str, str]:
        """Every configured app, by name; ``SOCKUDO_URL`` is :data:`DEFAULT_APP`."""
        urls = dict(self.apps)
        if self.url:
            urls[DEFAULT_APP] = self.url
        return urls

    def url_of(self, app: str) -> str:
        """The URL of one app. Raises :class:`ConfigurationError` when there is none."""
        url = self.url if app == DEFAULT_APP else self.apps.get(app)
        if url:
            return url
        if app == DEFAULT_APP:
            raise ConfigurationError(
                f"{self.called('url')}: not set, expected http(s)://key:secret@host:port[/prefix]/apps/app-id"
            )
        raise ConfigurationError(f"{self.called('apps')}: no app named {app!r}")

    @classmethod
    @without_locals
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read ``SOCKUDO_*``, nothing else. Empty variables count as not set."""
        values, names = _read(Reader(os.environ if environ is None else environ), without=())
        return cls(**values, given_as=names)


# What dataclass has made has every setting as an argument.
Settings.__init__ = without_locals(Settings.__init__)  # type: ignore[method-assign]

_DEFAULTS = {one.name: one.default for one in fields(Settings)} | {"apps": {}}


def _read(reader: Reader, *, without: Container[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields that a reader has, parsed and checked, and their names in error messages; not those of ``without``."""
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, kind in KINDS.items():
        if name in without:
            continue
        variable = variable_of(name)
        given = reader.find_secret(variable) if name in SECRETS else reader.find(variable)
        if given is not None:
            values[name], names[name] = given.read(kind), given.name
    return values, names


# -- the settings of this process ---------------------------------------------------------------------


class Fields(TypedDict, total=False):
    """The arguments of ``configure()``: the fields of :class:`Settings`."""

    url: str | None
    redis_url: str
    broker_url: str
    encryption_master_key_base64: str | None
    timeout: float
    delivery_timeout: float
    batch_max_events: int
    batch_max_bytes: int
    lanes: int
    dedup_window: float
    on_uncertain: Literal["resend", "park"]
    max_backlog: int
    max_scheduled: int
    max_event_bytes: int
    key_ttl: float
    max_rate: float
    redis_wait: tuple[int, int] | None
    on_expired: Literal["drop", "dead"]
    on_unavailable: Literal["raise", "log"]
    dead_max: int
    dead_max_bytes: int
    dead_ttl: float
    show_answers: bool
    apps: Mapping[str, str]
    namespace: str
    json: Literal["json", "orjson"]
    json_encoder: Callable[[Any], str | bytes] | None
    telemetry: tuple[str, ...]
    log: Literal["text", "json"]
    metrics_port: int
    metrics_host: str
    dashboard_token: str | None


class _Source:
    """The arguments of ``configure()``, and the settings that the first use makes of them.

    Of ``given``, the values that hold secrets are :class:`Secret` objects.
    It is replaced as a whole, without a lock: settings that another thread makes of an earlier source stay in that one.
    """

    __slots__ = ("given", "made")

    def __init__(self, given: Settings | Mapping[str, Any]) -> None:
        self.given = given
        self.made: dict[str, Settings] = {}  # its setdefault is atomic: all threads get one object


_source = _Source({})
_project: Callable[[], Mapping[str, Any]] | None = None
_on_configure: list[Callable[[], None]] = []


@without_locals
def _make_settings(source: _Source) -> Settings:
    return source.made.setdefault("", _make(source.given))


def get_settings() -> Settings:
    """The settings of this process, made at the first use and kept until :func:`configure` is called.

    Raises :class:`ConfigurationError`, each time anew.
    """
    source = _source
    settings = source.made.get("")
    return settings if settings is not None else _make_settings(source)


@without_locals
def configure(settings: Settings | None = None, /, **fields: Unpack[Fields]) -> None:
    """Set the settings of this process, in place of its environment.

    ``configure(url=..., lanes=16)``: fields of :class:`Settings`; the others keep coming from the project's settings
    (Django) and the environment, which are read at the next use. ``configure(Settings(...))``: all of it, and nothing
    else is read. A further call replaces the previous one; ``configure()`` drops it, and the environment is read
    again. Events that coroutines have published are stored with the earlier settings, within two seconds. Connections
    and clients of earlier settings are dropped; a call in progress ends with them.

    Not for a worker that has started: it keeps its lanes, apps and slots. Raises :class:`ConfigurationError` for a
    value and ``TypeError`` for a name that no field has; then nothing has changed. Safe to call from any thread.
    """
    if settings is None:
        _replace({name: _checked(name, value) for name, value in fields.items()})
    elif not isinstance(settings, Settings):
        raise TypeError(f"configure() expects Settings or fields by name, got {type(settings).__name__}")
    elif fields:
        raise TypeError("configure() takes Settings or fields by name, not both")
    else:
        _replace(settings)


def reload_settings() -> None:
    """Drop the settings and all objects made of them; the next use reads the project and the environment again.

    What :func:`configure` was given stays. A recorder calls it when it begins and ends.
    """
    _replace(_source.given)


@contextmanager
def temporary_settings(**fields: Unpack[Fields]) -> Iterator[None]:
    """``configure()`` for a block: these fields, over those that are given now. For servers of tests."""
    before = _source.given
    if isinstance(before, Settings):
        changed: Any = fields  # of configure(), which takes some values in several forms
        configure(replace(before, **changed))
    else:
        _replace({**before, **{name: _checked(name, value) for name, value in fields.items()}})
    try:
        yield
    finally:
        _replace(before)


def use_project_settings(read: Callable[[], Mapping[str, Any]]) -> None:
    """``read()`` gives a project's settings: variables' names without ``SOCKUDO_``, each with a value or its text.

    They take precedence over the environment, and :func:`configure` over them. Call it again when they have changed.
    """
    global _project  # noqa: PLW0603 -- the one place
    _project = read
    _replace(_source.given)


def on_configure(forget: Callable[[], None], *, first: bool = False) -> None:
    """Call ``forget()`` whenever the settings have changed, to drop objects made of earlier ones.

    It runs in the thread that changed them, must not raise, and waits for other threads for a bounded time only.
    ``first``: before the others, which drop what it still uses.
    """
    _on_configure.insert(0 if first else len(_on_configure), forget)


def _replace(given: Settings | Mapping[str, Any]) -> None:
    global _source  # noqa: PLW0603 -- the one place
    _source = _Source(given)
    for forget in tuple(_on_configure):
        forget()


def _checked(name: str, value: Any) -> Any:
    if name not in KINDS:
        raise TypeError(f"configure(): no setting is named {name!r}{nearest_name(name, KINDS)}")
    checked = KINDS[name].check(value, f"{name} ({variable_of(name)})")
    return Secret(checked) if name in SECRETS else checked


def _make(given: Settings | Mapping[str, Any]) -> Settings:
    if isinstance(given, Settings):
        return given
    values = {name: one.reveal() if isinstance(one, Secret) else one for name, one in given.items()}
    names: dict[str, str] = {}
    readers = [Reader(os.environ)] if _project is None else [_project_reader(_project()), Reader(os.environ)]
    for reader in readers:
        more, called = _read(reader, without=values)
        values.update(more)
        names.update(called)
    return Settings(**values, given_as=names)


def _project_reader(values: Any) -> Reader:
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"SOCKUDO: expected a dict, got {type(values).__name__}")
    known = [variable.removeprefix(PREFIX) for variable in known_variables()]
    for name in values:
        if name not in known:
            raise ConfigurationError(f"SOCKUDO: no setting is named {name!r}{nearest_name(str(name), known)}")
    return Reader(
        {PREFIX + name: value for name, value in values.items()},
        lambda variable: f"SOCKUDO[{variable.removeprefix(PREFIX)!r}]",
    )
