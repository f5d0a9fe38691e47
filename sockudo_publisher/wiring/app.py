"""The parts of one Sockudo app, made from the settings once per process and shared by its threads.

A fork makes its own: the parts themselves look at the process id before they use a connection. What a publisher does
not need, the HTTP client and the workers' end of the journal, is loaded when it is first used.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..client.http.credentials import Credentials
from ..client.wire.encoding import Encoder
from ..client.wire.encryption import decode_master_key
from ..client.wire.json_text import JsonText, load_orjson, text_of
from ..config.settings import DEFAULT_APP, Settings, get_settings, on_configure
from ..errors import ConfigurationError
from ..journal.producer import Producer
from ..journal.redis.link import CALLER_TIMEOUT_S, RedisLink
from ..redaction.frame_locals import without_locals
from ..redaction.secret import keep_secret
from ..telemetry.choose import choose_observer
from .fork_gate import inside_client

if TYPE_CHECKING:
    from ..client.sockudo import Sockudo
    from ..journal.app.workers import Target
    from ..journal.holder import Journal
    from ..journal.position import PositionRecord
    from ..journal.schedule.book import ScheduleBook
    from ..journal.schedule.writer import Schedule

__all__ = ["App", "app_named", "check_app", "check_apps", "client_of", "setting_of", "target_of"]


@keep_secret("fingerprint_key")
class App:
    """One Sockudo app: its name here, its client, and its journal from both ends.

    Raises :class:`ConfigurationError` when it is not configured or its URL is malformed.
    """

    fingerprint_key: bytes

    @without_locals
    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self._settings = settings
        with inside_client:  # prometheus_client
            self.observer = choose_observer(settings.telemetry)
        self.observer.begin(name)
        Credentials.from_url(settings.url_of(name), setting=setting_of(settings, name))
        with inside_client:  # a master key loads the encryption
            self.encoder = Encoder(
                max_event_bytes=settings.max_event_bytes,
                encryption_master_key_base64=_master_key(settings),
                json_encoder=_json_text(settings),
            )
        self.producer = Producer(
            settings.redis_url,
            name,
            lanes=settings.lanes,
            max_backlog=settings.max_backlog,
            key_ttl_ms=int(settings.key_ttl * 1000),
            wait=settings.redis_wait,
            namespace=settings.namespace,
        )
        master_key = settings.encryption_master_key_base64 or ""
        # The fingerprint of an encrypted event is of its plain text; keyed, it does not let a reader
        # of Redis test guesses.
        self.fingerprint_key = hashlib.sha256(master_key.encode()).digest() if master_key else b""

    @property
    def append_bound_s(self) -> float:
        """Seconds within which an append has ended: one to connect, one to answer, and the replicas' time."""
        wait = self._settings.redis_wait
        return 2 * CALLER_TIMEOUT_S + (wait[1] / 1000 if wait else 0.0)

    # No cached_property, which has a lock before Python 3.12: a fork would meet it locked. `setdefault` is atomic: all
    # threads get one object.

    @property
    def client(self) -> Sockudo:
        """The HTTP client; publishers that only use the journal never load it."""
        client: Sockudo | None = self.__dict__.get("_client")
        if client is None:
            client = self.__dict__.setdefault("_client", client_of(self._settings, self.name))
        return client

    @property
    def journal(self) -> Journal:
        """The journal as workers and operators use it."""
        journal: Journal | None = self.__dict__.get("_journal")
        if journal is None:
            journal = self.__dict__.setdefault("_journal", self._open_journal())
        return journal

    @property
    def schedule(self) -> Schedule:
        """Where callers put events that are due later."""
        schedule: Schedule | None = self.__dict__.get("_schedule")
        if schedule is None:
            with inside_client:  # forks wait for the import
                from ..journal.schedule.writer import Schedule
            schedule = self.__dict__.setdefault(
                "_schedule", Schedule(self.producer, max_events=self._settings.max_scheduled)
            )
        return schedule

    def schedule_book(self) -> ScheduleBook:
        """The schedule for a result's questions, over the connections of callers."""
        with inside_client:
            from ..journal.schedule.book import ScheduleBook
        key_ttl_ms = self.producer.key_ttl_ms
        return ScheduleBook(self.producer.link, self.name, lanes=self._settings.lanes, key_ttl_ms=key_ttl_ms)

    def position_record(self, job: str) -> PositionRecord:
        """The record of how far a bulk job has read its input."""
        from ..journal.position import PositionRecord

        settings = self._settings
        link = RedisLink(settings.redis_url, timeout_s=CALLER_TIMEOUT_S, namespace=settings.namespace)
        return PositionRecord(link, self.name, job, ttl_ms=int(settings.key_ttl * 1000))

    def _open_journal(self) -> Journal:
        with inside_client:
            from ..journal.dead_letters import DeadBounds
            from ..journal.holder import Journal
        settings = self._settings
        return Journal(
            settings.redis_url,
            self.name,
            lanes=settings.lanes,
            on_expired=settings.on_expired,
            max_rate=settings.max_rate,
            key_ttl_ms=int(settings.key_ttl * 1000),
            namespace=settings.namespace,
            dead=DeadBounds(settings.dead_max, settings.dead_max_bytes, int(settings.dead_ttl * 1000)),
            batch_max_events=settings.batch_max_events,
            observer=self.observer,
        )


@without_locals
def client_of(settings: Settings, name: str) -> Sockudo:
    """The HTTP client of one app. Raises :class:`ConfigurationError` that names the variable to change."""
    with inside_client:
        from ..client.sockudo import Sockudo
    key = _master_key(settings)
    return Sockudo.from_setting(
        setting_of(settings, name),
        settings.url_of(name),
        timeout=settings.timeout,
        encryption_master_key_base64=key,
        max_event_bytes=settings.max_event_bytes,
        show_answers=settings.show_answers,
        json_encoder=_json_text(settings),
    )


def check_app(settings: Settings, name: str) -> None:
    """Raise :class:`ConfigurationError` if no worker could address the app: as :func:`client_of`, which loads the
    HTTP client for that.
    """
    Credentials.from_url(settings.url_of(name), setting=setting_of(settings, name))
    _master_key(settings)


def _json_text(settings: Settings) -> JsonText:
    """How payloads are encoded: by the encoder of ``configure(json_encoder=...)``, else by ``SOCKUDO_JSON``."""
    if settings.json_encoder is None and settings.json == "orjson":
        with inside_client:
            return load_orjson()
    return text_of(settings.json_encoder)


def _master_key(settings: Settings) -> str | None:
    key = settings.encryption_master_key_base64
    if key is not None:
        # The client would name its argument, which is not what an operator can change.
        decode_master_key(key, field=settings.called("encryption_master_key_base64"))
    return key


def setting_of(settings: Settings, name: str) -> str:
    """What complaints about the app's URL begin with: ``SOCKUDO_URL``, or where else it was given."""
    return settings.called("url") if name == DEFAULT_APP else settings.called("apps", name)


@without_locals
def target_of(settings: Settings, name: str) -> Target:
    """Where the app's events go. Raises :class:`ConfigurationError` when its URL is missing or malformed."""
    from ..journal.app.workers import Target

    credentials = Credentials.from_url(settings.url_of(name), setting=setting_of(settings, name))
    return Target(credentials.app_id, credentials.base_url.partition("://")[2])


def check_apps(settings: Settings) -> None:
    """Raise :class:`ConfigurationError` where a worker with these settings could never deliver: no app, or one that
    cannot be addressed.
    """
    for name in settings.app_urls() or (DEFAULT_APP,):
        client_of(settings, name)


#: The apps of this process, by name.
_apps: dict[str, App] = {}


def app_named(name: str | None = None) -> App:
    """The app of that name (``SOCKUDO_APPS``), by default that of ``SOCKUDO_URL``.

    Raises :class:`ConfigurationError` when it is not configured or its URL is malformed.
    """
    if name is not None and not isinstance(name, str):
        raise ConfigurationError(f"app: expected a name, got {type(name).__name__}")
    name = name or DEFAULT_APP
    apps = _apps
    app = apps.get(name)
    # One that is built while `configure` replaces the dict stays in the old one.
    return app if app is not None else apps.setdefault(name, App(get_settings(), name))


def _forget() -> None:
    global _apps  # noqa: PLW0603 -- the one place
    _apps = {}


on_configure(_forget)
