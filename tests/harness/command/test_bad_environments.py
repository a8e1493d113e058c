"""Environments that break things: each ends in a documented exit code and one sentence, never in a traceback.

What needs a process of its own runs `list`, which costs a start of Python alone, or a few lines under the function
that ends the command. What needs only a folder, a variable or an error of the system runs in this process.
"""

from __future__ import annotations

import errno
import fcntl
import http.server
import os
import resource
import shlex
import subprocess
import sys
import threading
import warnings

import pytest
from arena import COMMAND

from harness.cli import main
from harness.command.causes import in_words
from harness.errors import BadInput, CampaignLocked, Interrupted, RegarenaError, ResultsError, saying
from harness.results.lock import campaign_lock
from harness.workers import isolation

LIST = f"{shlex.quote(str(COMMAND))} list suites"
WRONG = f"{shlex.quote(str(COMMAND))} list nothing"
# (shell command, variables besides, exit code, what is said on stderr; "" is nothing)
SHELL = {
    "stdout closed": (f"{LIST} >&-", {}, 0, ""),
    "stderr closed": (f"{LIST} 2>&-", {}, 0, ""),
    "stdin closed": (f"{LIST} <&-", {}, 0, ""),
    "both outputs closed": (f"{LIST} >&- 2>&-", {}, 0, ""),
    "all three closed": (f"{LIST} <&- >&- 2>&-", {}, 0, ""),
    "stderr closed and a wrong line": (f"{WRONG} 2>&-", {}, 2, ""),
    "stdout that is only read": (f"{LIST} 1</dev/null", {}, 2, "The output cannot be written (Bad file descriptor)"),
    "stdout without space": (f"{LIST} >/dev/full", {}, 2, "The output cannot be written (No space left on device)"),
    "stdout without space, unbuffered": (f"{LIST} >/dev/full", {"PYTHONUNBUFFERED": "1"}, 2, "No space left on device"),
    "stderr without space": (f"{WRONG} 2>/dev/full", {}, 2, ""),
    "a pipe that nobody reads": (f"({LIST}; echo $? >code) | true; exit $(cat code)", {}, 0, ""),
    "a pipe that nobody reads, unbuffered": (
        f"({LIST}; echo $? >code) | true; exit $(cat code)",
        {"PYTHONUNBUFFERED": "1"},
        0,
        "",
    ),
    "no environment": (f"env -i {LIST}", {}, 0, ""),
    "no home": (f"env -u HOME {LIST}", {}, 0, ""),
    "a home that is not there": (LIST, {"HOME": "/no/such/home"}, 0, ""),
    "a plain encoding": (LIST, {"PYTHONIOENCODING": "ascii"}, 0, ""),
    "a plain locale": (LIST, {"PYTHONUTF8": "0", "LC_ALL": "C"}, 0, ""),
    "a plain locale and a path that is not": (
        f"{shlex.quote(str(COMMAND))} plan quickstart --results résultats",
        {"PYTHONUTF8": "0", "LC_ALL": "C"},
        2,
        "set PYTHONUTF8=1 or a UTF-8 locale",
    ),
    "an unknown locale": (LIST, {"LC_ALL": "xx_XX.UTF-9"}, 0, ""),
    "no docstrings": (f"{shlex.quote(str(COMMAND))} --help", {"PYTHONOPTIMIZE": "2"}, 0, ""),
    "a terminal without columns": (LIST, {"COLUMNS": "0", "TERM": "dumb"}, 0, ""),
    "a width that is no number": (f"{shlex.quote(str(COMMAND))} --help", {"COLUMNS": "wide"}, 0, ""),
    "a temporary folder that is not there": (LIST, {"TMPDIR": "/no/such/folder"}, 0, ""),
    "warnings that are errors": (LIST, {"PYTHONWARNINGS": "error"}, 0, ""),
    "a current folder that was removed": (
        f"mkdir gone && cd gone && rmdir ../gone && {LIST}",
        {},
        2,
        "The current folder cannot be used (No such file or directory); change to another one.",
    ),
    "few file descriptors": (f"ulimit -n 8; {LIST}", {}, 0, ""),
}


@pytest.mark.parametrize("name", SHELL)
def test_a_bad_environment_of_the_command(name, tmp_path):
    command, variables, code, words = SHELL[name]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment | variables, capture_output=True, timeout=300
    )
    error = ended.stderr.decode(errors="replace")
    assert ended.returncode == code, error
    assert "Traceback" not in error
    assert words in error
    assert error.count("\n") == (1 if words else 0), error


PROGRAM = """
import sys
from harness.command.exit import run_to_its_end

def app(standalone_mode):
    {body}

run_to_its_end(app)
"""
LIMITED = {  # what is done below the command, a limit on the process, exit code, what is said
    "too many open files": (
        "[open('/dev/null') for _ in range(100)]",
        (resource.RLIMIT_NOFILE, 32),
        1,
        "Too many files are open (Too many open files: '/dev/null'). Raise the limit with `ulimit -n`",
    ),
    "no memory": ("bytearray(2**36)", (resource.RLIMIT_AS, 2**32), 1, "There is not enough memory"),
    "files may not grow": (
        "open('x', 'w', buffering=1).write('text\\n')",
        (resource.RLIMIT_FSIZE, 0),
        1,
        "The disk is full ([Errno 27] File too large)",
    ),
    "a notebook's backend of figures": (
        "import matplotlib.pyplot as pyplot; pyplot.figure().savefig('figure.png')",
        (resource.RLIMIT_CORE, 0),
        0,
        "",
    ),
    "a missing package": ("import no_such_package", (resource.RLIMIT_CORE, 0), 1, "A package cannot be imported"),
    "SIGTERM": (
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        (resource.RLIMIT_CORE, 0),
        130,
        "Stopped by SIGTERM",
    ),
    "Ctrl-C": (
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
        (resource.RLIMIT_CORE, 0),
        130,
        "Stopped by SIGINT",
    ),
    "a thread that fails": (
        "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
        (resource.RLIMIT_CORE, 0),
        0,
        "Unexpected error in regarena or in a package that extends it (ZeroDivisionError: division by zero). The "
        "traceback is in ",
    ),
    "an object that cannot be thrown away": (
        "x = type('X', (), {'__del__': lambda self: 1 / 0})(); del x",
        (resource.RLIMIT_CORE, 0),
        0,
        "",
    ),
}


@pytest.mark.parametrize("name", LIMITED)
def test_a_process_that_meets_its_limits(name, tmp_path):
    body, (kind, limit), code, words = LIMITED[name]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert words in ended.stderr
    assert ended.stderr.count("\n") == (1 if words else 0)


def ray_error(text):
    """An exception as Ray has them: told by the package of its class."""
    return type("RaySystemError", (Exception,), {"__module__": "ray.exceptions"})(text)


def raised_from(cause):
    error = ValueError("a wrapper")
    error.__cause__ = cause
    return error


EXCEPTIONS = {
    "disk full": (OSError(errno.ENOSPC, "No space left on device", "/r/x"), 1, "No space left on device: '/r/x'"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), 1, "The disk is full"),
    "read-only": (OSError(errno.EROFS, "Read-only file system", "/r"), 2, "may not be read or written by this user"),
    "not allowed": (PermissionError(errno.EACCES, "Permission denied", "/r"), 2, "Change its permissions"),
    "broken disk": (OSError(errno.EIO, "Input/output error"), 1, "disk or file server"),
    "stale handle": (OSError(errno.ESTALE, "Stale file handle"), 1, "disk or file server"),
    "no processes": (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), 1, "`ulimit -u`"),
    "no threads": (RuntimeError("can't start new thread"), 1, "`ulimit -u`"),
    "no memory to map": (ImportError("x.so: failed to map segment from shared object"), 1, "not enough memory"),
    "no connection": (
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        1,
        "A network connection failed",
    ),
    "store": (OSError("When listing: AWS Error SLOW_DOWN (HTTP status 503)"), 1, "The object store reports an error"),
    "surrogates": (UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed"), 2, "PYTHONUTF8=1"),
    "raylet gone": (
        ray_error("The raylet died.\nmore"),
        1,
        "any more (RaySystemError: The raylet died)",
    ),
    "wrapped": (raised_from(OSError(errno.ENOSPC, "No space left on device")), 1, "The disk is full"),
    "strange": (OSError("something else"), 1, "The system refused an operation"),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_error_of_the_environment_is_told_with_what_to_do(name):
    error, code, words = EXCEPTIONS[name]
    sentence, exit_code = in_words(error)
    assert exit_code == code
    assert words in sentence
    assert "\n" not in sentence
    assert "Unexpected error" not in sentence, "it is no fault of ours"


def test_a_fault_of_ours_leaves_its_traceback_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        {}["suite"]
    except KeyError as error:
        sentence, code = in_words(error)
    (file,) = tmp_path.iterdir()
    assert code == 1
    assert sentence.endswith(f"that extends it (KeyError: 'suite'). The traceback is in {file}; please report it.")
    assert "Traceback (most recent call last)" in file.read_text()


def test_a_fault_of_ours_is_told_where_no_file_can_be_written(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    assert in_words(KeyError("suite"))[0].endswith("Its traceback could not be written.")


def test_what_is_kept_is_said_of_all_but_bad_input():
    def end_of(error):
        with pytest.raises(type(error)) as raised, saying("All is kept."):
            raise error
        return in_words(raised.value)

    assert end_of(OSError(errno.ENOSPC, "Full"))[0].endswith(" All is kept.")
    assert end_of(Interrupted("Stopped.")) == ("Stopped. All is kept.", 130)
    assert end_of(ResultsError("No rows.")) == ("No rows. All is kept.", 1)
    assert end_of(BadInput("No such name.")) == ("No such name.", 2)
    assert end_of(CampaignLocked("Another run.")) == ("Another run.", 75)


# Folders: what is made in the current folder, the command, exit code, what is said.


def make_lock_a_folder():
    os.makedirs("r/.lock")


def make_lock_a_link():
    os.makedirs("r")
    os.symlink("elsewhere", "r/.lock")


def make_file():
    open("r", "w").close()


def make_file_above():
    open("above", "w").close()


def make_loop():
    os.symlink("r", "r")


def make_trials_a_file():
    os.makedirs("r")
    open("r/trials", "w").close()


def make_file_a_folder():
    os.makedirs("r/trials/x.parquet")


def campaign_file(text):
    def make():
        os.makedirs("r/trials")
        with open("r/campaign.json", "w") as file:
            file.write(text)

    return make


RUN = ["run", "quickstart", "--serial", "--only", "none,digits-200-mlp", "--results"]
PLAN = ["plan", "quickstart", "--only", "none,digits-200-mlp", "--results"]
FOLDERS = {
    "a lock that is a folder": (make_lock_a_folder, [*RUN, "r"], 2, "Is a directory"),
    "a lock that is a link": (make_lock_a_link, [*RUN, "r"], 2, "Too many levels of symbolic links"),
    "results that are a file": (make_file, [*RUN, "r"], 2, "is a file"),
    "results below a file": (make_file_above, [*RUN, "above/r"], 2, "cannot be written"),
    "results that are a circle of links": (make_loop, [*PLAN, "r"], 2, "symbolic links"),
    "a name that is too long": (lambda: None, [*PLAN, "r" * 300], 2, "File name too long"),
    "trials that are a file": (make_trials_a_file, ["verify", "r"], 2, "Not a directory"),
    "a Parquet file that is a folder": (make_file_a_folder, ["rank", "r"], 2, "No trial is stored"),
    "an empty object as campaign": (campaign_file("{}"), [*PLAN, "r"], 2, "campaign.json"),
    "a list as campaign": (campaign_file("[]"), [*PLAN, "r"], 2, "campaign.json"),
    "a text as campaign": (campaign_file('"x"'), [*PLAN, "r"], 2, "campaign.json"),
    "a campaign that was cut off": (campaign_file('{"suite"'), [*PLAN, "r"], 2, "campaign.json"),
    "a system folder as results": (lambda: None, [*RUN, "/proc/regarena"], 2, "cannot be written"),
}


def called(monkeypatch, capsys, *arguments):
    """Exit code and errors of the command, called in this process."""
    monkeypatch.setattr(sys, "argv", ["regarena", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.fixture
def _nothing_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.campaign._run_missing", lambda *_: pytest.fail("a campaign ran"))


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_bad_folder(name, monkeypatch, capsys):
    make, arguments, code, words = FOLDERS[name]
    make()
    ended, error = called(monkeypatch, capsys, *arguments)
    assert (ended, "Traceback" in error, "Unexpected error" in error) == (code, False, False), error
    assert words in error
    assert error.startswith("regarena: ")


@pytest.fixture(scope="module")
def busy_store():
    """The URI of a bucket whose store answers every request with 503."""

    class Busy(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_):
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield f"s3://key:secret@bucket/r?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        server.shutdown()


@pytest.mark.slow  # the client waits between its tries
@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize("arguments", [["rank"], ["verify"], PLAN], ids=lambda arguments: arguments[0])
def test_an_object_store_that_is_busy(arguments, busy_store, monkeypatch, capsys):
    code, error = called(monkeypatch, capsys, *arguments, busy_store)
    assert code in (1, 2)
    assert "503" in error or "SLOW_DOWN" in error or "UNAVAILABLE" in error
    assert error.startswith("regarena: ")
    assert "Traceback" not in error


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_locked_on_this_machine(number, tmp_path, monkeypatch):
    genuine = fcntl.flock

    def flock(handle, how):
        if os.readlink(f"/proc/self/fd/{handle}").startswith(f"{tmp_path}/r/"):
            raise OSError(number, os.strerror(number))
        genuine(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "r").mkdir()
    with campaign_lock("r", tmp_path / "r") as notice:
        assert "do not start a second run of this campaign on another machine" in notice
        with pytest.raises(CampaignLocked), campaign_lock("r", tmp_path / "r"):
            pass


def test_a_ray_that_does_not_start_in_time_is_one_sentence(monkeypatch):
    from harness import tuner
    from harness.request import Cluster

    def slow(**_):
        raise Exception("The current node timed out during startup.\nThis could happen because ...")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
    monkeypatch.setattr(ray, "init", slow)
    with pytest.raises(RegarenaError, match=r"Ray cannot be started here \(The current node timed out") as raised:
        tuner._connect(Cluster())
    assert "--serial runs without it" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_limit_on_data_that_is_set_already_is_not_exceeded(monkeypatch):
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (6_000_000_000, 6_000_000_000))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: set_to.append(limits))
    isolation._limit_data(10**12)
    isolation._limit_data(10**6)
    (first, hard), (second, _) = set_to
    assert first == hard == 6_000_000_000
    assert second < hard


def test_a_user_without_home_gets_the_message_of_a_failure(monkeypatch):
    import pwd

    from harness.trial import failure_values

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert failure_values(ValueError("in /root/x"))["error_message"] == "in /root/x"


@pytest.mark.slow
def test_what_a_trial_prints_is_no_output_of_the_command(tmp_path):
    program = (
        "import os, sys\n"
        "from harness.workers import isolation\n"
        "isolation._die_with_parent = lambda: None\n"
        "class Sender:\n"
        "    def close(self): pass\n"
        "import harness.trial\n"
        "harness.trial.run_pack = lambda *_: print('a trial prints', flush=True)\n"
        "isolation.send_answer = lambda *_: None\n"
        "isolation._body((), isolation.Execution(), Sender())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    assert "a trial prints" in ended.stderr


def test_there_are_enough_environments():
    assert len(SHELL) + len(LIMITED) + len(EXCEPTIONS) + len(FOLDERS) >= 40
