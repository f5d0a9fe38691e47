"""What the command says and how it ends when it is used wrongly, without anything to talk to."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import sys
from contextlib import nullcontext

import pytest
from click.testing import CliRunner, Result

from sockudo_publisher import configure
from sockudo_publisher.cli import main
from sockudo_publisher.cli.output import Output

pytestmark = pytest.mark.unit

#: A port on which nothing listens: reserved, and never bound by a service.
NOWHERE = "127.0.0.1:1"

COMMANDS = [
    ["demo"],
    ["dev-server"],
    ["worker"],
    ["publish"],
    ["publish-file"],
    ["status"],
    ["doctor"],
    ["bench"],
    ["resume"],
    ["dead", "list"],
    ["dead", "show"],
    ["dead", "replay"],
    ["dead", "purge"],
]


@pytest.fixture
def run(monkeypatch):
    """Run the command with these settings and no others."""
    for name in ("SOCKUDO_URL", "SOCKUDO_REDIS_URL", "SOCKUDO_BROKER_URL", "SOCKUDO_APPS"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*args: str, stdin: bytes | None = None, **environ: str) -> Result:
        configure()
        return CliRunner().invoke(main, list(args), env=environ, input=stdin)

    yield invoke
    configure()


CSV = ["publish-file", __file__, "--csv", "--channel", "c", "--event", "e"]

URL = {"SOCKUDO_URL": f"http://key:secret-of-mine@{NOWHERE}/apps/app-id", "SOCKUDO_REDIS_URL": f"redis://{NOWHERE}/0"}


def test_help_names_every_command_and_exit_code(run):
    """What a newcomer sees first."""
    result = run("--help")
    assert result.exit_code == 0
    for command, *_ in COMMANDS:
        assert re.search(rf"^  {command} ", result.output, re.MULTILINE), command
    for code, error_text in enumerate(("done", "failed", "wrong arguments", "cannot be reached")):
        assert re.search(rf"^ +{code}  .*{error_text}", result.output, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_has_json(run, command):
    """--help works without settings, and --json is everywhere."""
    result = run(*command, "--help")
    assert result.exit_code == 0, result.output
    assert "--json" in result.output


def test_help_loads_neither_celery_nor_redis():
    """A command line that takes a second to explain itself is not used."""
    code = (
        "import sys\n"
        "from sockudo_publisher.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "loaded = {'celery', 'kombu', 'redis', 'requests', 'starlette', 'uvicorn'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_help_of_publish_file_loads_no_reader():
    """Neither does a file of JSON lines need the modules of the others."""
    code = (
        "import sys\n"
        "from sockudo_publisher.cli import main\n"
        "try:\n    main(['publish-file', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "loaded = {'celery', 'kombu', 'redis', 'csv', 'gzip', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["nonsense"], id="unknown command"),
        pytest.param(["publish", "a"], id="arguments missing"),
        pytest.param(["publish-file", "no-such-file"], id="no such file"),
        pytest.param(["publish-file", "-"], id="stdin without keys"),
        pytest.param(["publish-file", "-", "--run-id", ""], id="empty run id"),
        pytest.param(["publish-file", "-", "--key-field", ""], id="empty key field"),
        pytest.param(["publish-file", __file__, "--csv"], id="csv without templates"),
        pytest.param(["publish-file", __file__, "--channel", "c"], id="template without csv"),
        pytest.param(["publish-file", __file__, "--csv", "--channel", "{", "--event", "e"], id="open brace"),
        pytest.param(["publish-file", __file__, "--csv", "--channel", "{no}", "--event", "e"], id="no such column"),
        pytest.param([*CSV, "--delimiter", ",,"], id="two delimiters"),
        pytest.param([*CSV, "--encoding", "base64"], id="no encoding of text"),
        pytest.param(["publish", "c", "e", "-5"], id="data with a dash"),
        pytest.param(["publish", "c", "e", "d", "d"], id="too many arguments"),
        pytest.param(["status", "--nope"], id="unknown option"),
        pytest.param(["dead", "list", "--limit", "x"], id="bad value"),
        pytest.param(["dead", "nonsense"], id="unknown subcommand"),
        pytest.param(["worker", "--nope"], id="unknown option of celery's"),
        pytest.param(["worker", "--concurrency", "x"], id="bad value for celery"),
        pytest.param(["publish-file", "-", "--run-id", "a", "--key-field", "b"], id="two kinds of keys"),
        pytest.param(["dead", "replay"], id="replay of nothing"),
        pytest.param(["dead", "purge", "1-2-3", "--all"], id="ids and all"),
        pytest.param(["worker", "-A", "mine"], id="another app"),
        pytest.param(["worker", "--app=mine"], id="another app, with ="),
        pytest.param(["demo", "--speed", "0"], id="no speed"),
        pytest.param(["demo", "--start", "25:00"], id="no such time"),
        pytest.param(["demo", "--year", "no-such-file"], id="no such sdist"),
        pytest.param(["demo", "--year", __file__], id="year without once"),
        pytest.param(["bench", "--events", "0"], id="no events"),
        pytest.param(["bench", "--bytes", "10241"], id="too large for the embedded parts"),
        pytest.param(["bench", "--here", "--bytes", "10241"], id="too large for the settings"),
        pytest.param(["bench", "--app", "mine"], id="app without here"),
        pytest.param(["bench", "--ws", "ws://127.0.0.1"], id="ws without here"),
        pytest.param(["bench", "--here", "--ws", "http://127.0.0.1"], id="no WebSocket's URL"),
    ],
)
def test_wrong_usage_ends_with_2(run, args):
    """And says what would have been right."""
    result = run(*args, **URL)
    assert result.exit_code == 2, result.output
    assert result.stderr.strip()
    command = 2 if args[0] == "dead" and len(args) > 1 else 1
    result = run(*args[:command], "--json", *args[command:], **URL)
    assert result.exit_code == 2, result.output
    told = json.loads(result.stdout)
    assert (told["ok"], told["exit_code"]) == (False, 2)
    assert told["error"]["message"]
    assert "Usage:" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["publish", "c", "e", "d"],
        ["status", "--app", "no"],
        ["dead", "list"],
        ["worker"],
        ["doctor"],
        ["resume"],
        ["bench", "--here"],
    ],
)
def test_missing_settings_end_with_2(run, command):
    """The variable is named."""
    result = run(*command)
    assert result.exit_code == 2, result.output
    assert "SOCKUDO_" in result.stderr


def test_a_malformed_setting_ends_with_2_and_is_not_echoed(run):
    """It may hold a secret."""
    result = run("publish", "c", "e", "d", SOCKUDO_URL="htp://key:secret-of-mine@host/apps/1")
    assert result.exit_code == 2
    assert "url" in result.stderr.lower()
    assert "secret-of-mine" not in result.output


def test_bad_arguments_end_with_2(run):
    """The channel is refused before Redis is asked."""
    result = run("publish", "not a channel", "e", "d", **URL)
    assert result.exit_code == 2
    assert "channel" in result.stderr


def test_redis_away_ends_with_3(run):
    """Queueing needs Redis."""
    result = run("publish", "c", "e", "d", **URL)
    assert result.exit_code == 3, result.output


def test_sockudo_away_ends_with_3(run):
    """Sending now needs Sockudo, and no Redis."""
    result = run("publish", "c", "e", "d", "--now", **URL)
    assert result.exit_code == 3, result.output
    assert "secret-of-mine" not in result.output


def test_publish_file_takes_any_standard_input(run):
    """A program may run the command in its own process; the check needs no Redis."""
    line = b'{"channel":"c","name":"e","data":1}\n'
    for given in (line, gzip.compress(line)):
        result = run("publish-file", "-", "--dry-run", "--json", stdin=given, **URL)
        assert (result.exit_code, json.loads(result.stdout)["count"]) == (0, 1)


def test_publish_file_with_redis_away_ends_with_3(run, tmp_path):
    """It says how many are stored: none."""
    file = tmp_path / "events.ndjson"
    file.write_text('{"channel":"c","name":"e","data":1}\n')
    result = run("publish-file", str(file), "--json", **URL)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"]["stored"] == 0


def test_a_failure_is_json_too(run):
    """One object on stdout, nothing on stderr."""
    result = run("publish", "c", "e", "d", "--json", **URL)
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert answer["error"]["type"] == "JournalUnavailable"
    assert answer["exit_code"] == result.exit_code == 3
    assert result.stderr == ""


def test_wrong_usage_is_json_too(run):
    """Where the command itself found it."""
    result = run("dead", "purge", "1-2-3", "--json", **URL)
    answer = json.loads(result.stdout)
    assert answer["error"]["type"] == "UsageError"
    assert answer["exit_code"] == result.exit_code == 2


@pytest.mark.parametrize(
    ("data", "error_text"),
    [
        (["-5"], 'put "--" before DATA'),
        (["-----BEGIN of-mine"], 'put "--" before DATA'),
        (["--kye", "of-mine"], "no such option --kye"),
        (["it is", "of-mine"], "needs quotes"),
    ],
)
def test_data_like_an_option_gets_a_hint_and_is_not_repeated(run, data, error_text):
    """What looks like an option may be a piece of the payload."""
    result = run("publish", "c", "e", *data, **URL)
    assert result.exit_code == 2
    assert error_text in result.stderr
    assert "of-mine" not in result.stderr


def test_data_with_a_dash_goes_behind_two(run):
    """As the hint says: it gets as far as Redis."""
    assert run("publish", "--", "c", "e", "-5", **URL).exit_code == 3


@pytest.mark.parametrize(
    ("settings", "error_text"),
    [
        ({"SOCKUDO_REDIS_URL": "redis://:secret-of-mine/x@127.0.0.1:6379/0"}, "SOCKUDO_REDIS_URL: "),
        ({"SOCKUDO_BROKER_URL": "amqp://u:secret-of-mine/x@h"}, "SOCKUDO_BROKER_URL: "),
        ({"SOCKUDO_REDIS_URL": "127.0.0.1:6379"}, "SOCKUDO_REDIS_URL: "),
    ],
)
@pytest.mark.parametrize("command", [["publish", "c", "e", "d"], ["status"], ["dead", "list"], ["worker"], ["doctor"]])
def test_a_malformed_address_ends_with_2_in_json_too(run, command, settings, error_text):
    """And shows nothing of the password."""
    result = run(*command, "--json", **{**URL, **settings})
    told = json.loads(result.stdout)
    assert (result.exit_code, told["error"]["type"]) == (2, "ConfigurationError")
    assert told["error"]["message"].startswith(error_text)
    assert "secret-of-mine" not in result.output


def test_redis_away_tells_how_to_repeat(run):
    """To people and to programs: under which id, and that nothing is stored."""
    result = run("publish", "c", "e", "d", "--key", "order-1", **URL)
    assert result.stderr.rstrip().endswith("Nothing is stored: repeat with --key order-1")
    error = json.loads(run("publish", "c", "e", "d", "--json", **URL).stdout)["error"]
    assert error["stored"] is False
    assert error["message"].endswith("redis://127.0.0.1:1/0: Connection refused")
    assert len(error["message_id"]) == 32


def test_status_refuses_what_no_worker_could_use(run):
    """A broken URL among several is not well."""
    result = run("status", **URL, SOCKUDO_APPS='{"shop":"http://k:secret-of-mine/x@h/apps/1"}')
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: SOCKUDO_APPS['shop']: ")
    assert "secret-of-mine" not in result.output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_stream_cannot_write_does_not_end_a_command(monkeypatch, encoding):
    """As text the characters are replaced, in JSON they are escaped."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    Output(as_json=False).print("±600 s → grün 🎉 \udcff")
    Output(as_json=True).print_json(text="±600 s → grün 🎉")
    sys.stdout.flush()
    people, programs = raw.getvalue().decode(encoding).splitlines()
    assert (
        people
        == {
            "ascii": "+/-600 s -> gr\\xfcn \\U0001f389 \\udcff",
            "latin-1": "±600 s -> grün \\U0001f389 \\udcff",
            "utf-8": "±600 s → grün 🎉 \\udcff",
        }[encoding]
    )
    assert json.loads(programs) == {"text": "±600 s → grün 🎉"}


def test_a_payload_in_markup_is_not_taken_for_markup(run):
    """A channel may not hold brackets, a key may."""
    out = Output(as_json=False)
    out.errors.file = io.StringIO()
    out.print_error("Error", "key: [bold]x[/]", 1)
    assert "[bold]x[/]" in out.errors.file.getvalue()


@pytest.mark.parametrize("command", ["demo", "dev-server", "bench"])
@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_without_the_extra_it_says_how_to_install_it(run, monkeypatch, command, missing):
    """A clear message instead of a traceback."""
    monkeypatch.setitem(sys.modules, missing, None)
    result = run(command)
    assert result.exit_code == 2
    assert missing in result.stderr
    assert "pip install 'sockudo-publisher[demo]'" in result.stderr


@pytest.mark.parametrize(("repeated", "code"), [(0, 0), (1, 1)])
def test_bench_ends_with_1_when_an_event_was_repeated(run, monkeypatch, repeated, code):
    """All figures are shown all the same: the run is complete."""
    from sockudo_publisher.dev import subscriber
    from sockudo_publisher.dev.bench import measure
    from sockudo_publisher.dev.bench.figures import DIRECT, Samples
    from sockudo_publisher.dev.tally import Verdict

    samples = Samples()
    for side in ("delay", "trigger"):
        samples.call_us[side].append([1.0])
        samples.latency_ms[side].append([1.0])
    for name in ("publish_many", "drained", *DIRECT):
        samples.rates[name].append(1.0)
    verdict = Verdict(9, 9 + repeated, 1, lost=0, duplicates=repeated, out_of_order=0, altered=False)
    monkeypatch.setattr(subscriber, "Subscriber", lambda *_, **__: nullcontext())
    monkeypatch.setattr(measure, "measure", lambda *_, **__: (samples, verdict))
    result = run("bench", "--here", "--json", **URL)
    assert result.exit_code == code
    answer = json.loads(result.stdout)
    assert answer["ok"] is (not repeated)
    assert answer["arrived"]["repeated"] == repeated
    assert "secret-of-mine" not in result.output
