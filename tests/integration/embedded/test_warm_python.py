"""A forked Python program is what a new interpreter would be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.warm import ROOT, WarmProcess, run_python, start_python

pytestmark = pytest.mark.integration

#: Seconds for a program of one line on a busy machine.
PROGRAM_S = 60.0

SHOW = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), dict(os.environ), sys.path[0], __name__, sys.stdin.read()]))
print("aside", file=sys.stderr)
"""

READ = """
import importlib, json, os
from tests.support.warm_parent import MODULES
read = []
class Telling(type(os.environ)):
    def __getitem__(self, key):
        read.append(key)
        return super().__getitem__(key)
os.environ.__class__ = Telling
for name in MODULES: importlib.import_module(name)
print(json.dumps([key for key in read if key.startswith("SOCKUDO_")]))
"""


@pytest.fixture
def environ() -> dict[str, str]:
    """The smallest one, so that nothing of this process' own can be seen in the child."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}


def test_command_has_its_own_arguments_and_environment(environ: dict[str, str], tmp_path: Path) -> None:
    """Nothing of the parent is left but what it has imported."""
    env = {**environ, "OWN": "1"}
    done = run_python(["-c", SHOW, "a", "b"], env=env, cwd=tmp_path, stdin=b"given", timeout=PROGRAM_S)
    argv, directory, seen, first, name, given = json.loads(done.stdout)
    if not env.keys() & {"LANG", "LC_ALL", "LC_CTYPE"}:
        seen.pop("LC_CTYPE", None)  # Python adds it by itself where no locale is set (PEP 538)
    assert (argv, directory, seen) == (["-c", "a", "b"], str(tmp_path), env)
    assert (first, name, given) == ("", "__main__", "given")
    assert (done.stderr, done.returncode) == ("aside\n", 0)


@pytest.mark.parametrize("given", ["ascii", "latin-1", "ascii:replace", ":ignore"])
def test_streams_have_the_encoding_that_is_given(environ: dict[str, str], given: str) -> None:
    """By PYTHONIOENCODING, with its errors."""
    source = "import sys; print([(one.encoding, one.errors) for one in (sys.stdin, sys.stdout, sys.stderr)])"
    env = {**environ, "PYTHONIOENCODING": given}
    with start_python(["-c", "pass"], env=env) as process:
        assert isinstance(process, WarmProcess)
    forked = run_python(["-c", source], env=env, timeout=PROGRAM_S).stdout
    started = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True, check=True)
    assert forked == started.stdout


@pytest.mark.parametrize("kind", ["module", "script"])
def test_module_and_script_are_found_where_they_are(environ: dict[str, str], tmp_path: Path, kind: str) -> None:
    """Beside the script, in the current directory, and in PYTHONPATH."""
    (tmp_path / "beside.py").write_text("here = 'beside'")
    (tmp_path / "further").mkdir()
    (tmp_path / "further" / "further_away.py").write_text("here = 'further'")
    program = tmp_path / "program.py"
    program.write_text("import sys, beside, further_away\nprint(beside.here, further_away.here, *sys.argv[1:])")
    arguments = ["-m", "program", "x"] if kind == "module" else [str(program), "x"]
    env = {**environ, "PYTHONPATH": str(tmp_path / "further")}
    done = run_python(arguments, env=env, cwd=tmp_path if kind == "module" else Path("/"), timeout=PROGRAM_S)
    assert (done.stdout, done.stderr) == ("beside further x\n", "")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('no')", 1),
        ("raise SystemExit(-1)", 255),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
        ("1 / 0", 1),
        ("import os; os._exit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_exit_code_is_that_of_the_program(environ: dict[str, str], source: str, code: int) -> None:
    """Also of one that is killed."""
    assert run_python(["-c", source], env=environ, timeout=PROGRAM_S).returncode == code


LAST = """
import atexit, sys, threading, time
def work():
    time.sleep(0.2)
    print("thread")
atexit.register(print, "exit function")
threading.Thread(target=work).start()
sys.exit("why")
"""


def test_program_ends_as_in_an_interpreter(environ: dict[str, str]) -> None:
    """Its threads, then its exit functions, and all that it printed; a full stream changes its code."""
    done = run_python(["-c", LAST], env=environ, timeout=PROGRAM_S)
    assert (done.returncode, done.stdout, done.stderr) == (1, "thread\nexit function\n", "why\n")
    with open("/dev/full", "wb") as full:
        for program in ("print('x')", "print('x'); raise SystemExit(3)"):
            with start_python(["-c", program], env=environ, stdout=full) as process:
                forked = process.wait(PROGRAM_S)
            started = subprocess.run(
                [sys.executable, "-c", program], env=environ, stdout=full, stderr=subprocess.DEVNULL, check=False
            )
            assert forked == started.returncode == 120


def test_program_that_is_too_slow_is_killed(environ: dict[str, str]) -> None:
    """As by `subprocess.run`."""
    with pytest.raises(subprocess.TimeoutExpired):
        run_python(["-c", "import time; time.sleep(600)"], env=environ, timeout=0.5)


def test_pipes_and_signals_work_both_ways(environ: dict[str, str]) -> None:
    """A program that runs, in a session of its own."""
    source = "import sys, time\nprint('e', file=sys.stderr)\nprint(input(), flush=True)\ntime.sleep(600)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start_python(["-c", source], env=environ, start_new_session=True, **pipes)
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"hello\n"
    assert os.getsid(process.pid) == process.pid
    assert process.poll() is None
    process.terminate()
    assert process.communicate(timeout=PROGRAM_S) == (b"", b"e\n")
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("arguments", [["-X", "dev", "-c", "pass"], ["-c", "import gevent"]])
def test_what_a_fork_is_not_gets_an_interpreter(environ: dict[str, str], arguments: list[str]) -> None:
    """Options of the interpreter, and patches that have to come before all imports."""
    with start_python(arguments, env=environ) as process:
        assert not isinstance(process, WarmProcess)


def test_warnings_are_treated_as_asked(environ: dict[str, str]) -> None:
    """As `-W` does; the programs that it runs in a new interpreter get it too."""
    source = "import sys, warnings; print(sys.warnoptions, flush=True); warnings.warn('careful')"
    refused = run_python(["-W", "error", "-c", source], env=environ, timeout=PROGRAM_S)
    assert (refused.returncode, refused.stdout) == (1, "['error']\n")
    assert "UserWarning: careful" in refused.stderr
    assert run_python(["-W", "ignore", "-c", source], env=environ, timeout=PROGRAM_S).stderr == ""


CRASH = """
import sys
from sockudo_publisher import faultpoint
from sockudo_publisher.publishing import store
ours = [module for name, module in sys.modules.items() if name.startswith("sockudo_publisher.")]
used = {vars(module)["crash_point"] for module in ours if "crash_point" in vars(module)}
print([used == {faultpoint.crash_point}, faultpoint.IS_ARMED], flush=True)
faultpoint.crash_point("posted")
faultpoint.crash_point("posted")
print("alive")
"""


def test_crash_point_is_the_childs_own(environ: dict[str, str]) -> None:
    """Also for the modules of the package that the process which forks it has imported without one."""
    environ |= {"PYTHONPATH": str(ROOT)}
    with start_python(["-c", "pass"], env={**environ, "SOCKUDO_FAULTPOINT": "posted"}) as process:
        assert isinstance(process, WarmProcess)
    killed = run_python(["-c", CRASH], env={**environ, "SOCKUDO_FAULTPOINT": "posted:2"}, timeout=PROGRAM_S)
    assert (killed.returncode, killed.stdout.splitlines()[0]) == (-signal.SIGKILL, "[True, True]")
    elsewhere = run_python(["-c", CRASH], env={**environ, "SOCKUDO_FAULTPOINT": "taken"}, timeout=PROGRAM_S)
    assert (elsewhere.returncode, elsewhere.stdout.splitlines()[-1]) == (0, "alive")
    none = run_python(["-c", CRASH], env=environ, timeout=PROGRAM_S)
    assert (none.returncode, none.stdout.splitlines()[0]) == (0, "[True, False]")


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "TZ"])
def test_variable_that_is_read_at_the_start_counts(environ: dict[str, str], variable: str) -> None:
    """An interpreter, or a module that is imported in advance, would not see it."""
    with start_python(["-c", "pass"], env={**environ, variable: "1"}) as process:
        assert not isinstance(process, WarmProcess)


def test_modules_imported_in_advance_read_no_setting(environ: dict[str, str]) -> None:
    """Each of them, in an interpreter whose environment tells: but the crash point, which the child sees to."""
    read = run_python(["-B", "-c", READ], env={**environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT, timeout=PROGRAM_S)
    assert read.stderr == ""
    assert set(json.loads(read.stdout)) <= {"SOCKUDO_FAULTPOINT"}
