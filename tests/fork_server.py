"""Programs of the workflow in forks of one process that has imported what they all import.

Their imports take longer than what most of them do in a test: a study of a hundred jobs spends ten
minutes of a core on them. `programs(folder)` is a folder for the PATH in which `rigsa` and
`snakemake` are small scripts; each hands its arguments, working directory, environment and standard
streams to the server, and ends as its fork does. For programs that nobody sends signals.
"""

import atexit
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path

from rigsa.evaluation.harness import go_offline
from tests.conftest import ROOT
from tests.faults.process import import_all

PROGRAMS = {"rigsa": "rigsa.cli", "snakemake": "snakemake"}
SCRIPT = """\
#!{python} -IS
import json, os, socket, sys
if {name!r} == "rigsa" and sys.argv[1:2] == ["fetch"]:  # The only step that goes online.
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = [{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]
    text = json.dumps(asked).encode()
    socket.send_fds(server, [len(text).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(text)
    said = server.recv(1)
sys.exit(said[0] if said else 70)
"""


def programs() -> Path:
    """The folder, with a server behind it that this process's end ends."""
    # Libraries read where the hub's cache is when they are imported.
    return _programs(os.environ.get("HF_HOME"))


@cache
def _programs(_: str | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rigsa-"))
    address = folder / "socket"
    server = subprocess.Popen([sys.executable, "-m", __name__, str(address)], cwd=ROOT)
    # What is registered last is done first.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.kill)
    for name in PROGRAMS:
        script = folder / "bin" / name
        script.parent.mkdir(exist_ok=True)
        real = str(Path(sys.executable).with_name(name))
        text = SCRIPT.format(python=sys.executable, address=str(address), name=name, real=real)
        script.write_text(text)
        script.chmod(0o755)
    end = time.monotonic() + 300
    while not address.exists():
        assert server.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    return folder / "bin"


def serve(address: str) -> None:
    go_offline()
    import_all()
    import matplotlib.figure  # noqa: F401
    import snakemake.cli
    import snakemake.workflow  # noqa: F401

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address + ".new")
        server.listen(64)
        # Not before: whoever sees it may connect.
        os.rename(address + ".new", address)
        while True:
            client, _ = server.accept()
            if os.fork() == 0:
                server.close()
                os._exit(_answer(client))
            client.close()
            _reap()


def _answer(client: socket.socket) -> int:
    """Has a fork do what is asked, waits for its end, and says its exit code."""
    size, streams, *_ = socket.recv_fds(client, 8, 3)
    text = b""
    while len(text) < int.from_bytes(size, "big"):
        text += client.recv(1 << 20)
    pid = os.fork()
    if pid == 0:
        client.close()
        os._exit(_run(streams, *json.loads(text)))
    for stream in streams:
        os.close(stream)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    client.sendall(bytes([code if code >= 0 else 128 - code]))
    return 0


def _run(
    streams: list[int], program: str, arguments: list[str], folder: str, environment: dict[str, str]
) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program, *arguments]
    code = 70
    try:
        runpy.run_module(PROGRAMS[program], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


if __name__ == "__main__":
    serve(sys.argv[1])
