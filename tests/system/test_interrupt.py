"""Ctrl-C and SIGTERM end a process at once, with the shell's exit codes, also inside C code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import recsys

LIMIT_S = 2.0

BUSY = {
    "python": "while True: pass",
    "sleeping": "import time; time.sleep(60)",
    # One call into C that lasts for minutes and never returns to the interpreter.
    "faiss": """
import faiss, numpy as np
index = faiss.IndexFlatL2(384); faiss.omp_set_num_threads(1)
index.add(np.zeros((100_000, 384), dtype=np.float32))
index.search(np.zeros((100_000, 384), dtype=np.float32), 10)
""",
    "implicit": """
import numpy as np, scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
matrix = sp.random(200_000, 5_000, density=0.01, format="csr", dtype=np.float32, random_state=0)
AlternatingLeastSquares(factors=256, iterations=100, num_threads=1, use_cg=False).fit(matrix, show_progress=False)
""",
}


def start(code: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start a process that installs the handler and then runs ``code``."""
    script = (
        "from recsys.system.interrupt import end_at_once_on_signals\n"
        "end_at_once_on_signals(lambda name, code: (f'ended by {name}\\n', f'{{\"exit_code\": {code}}}\\n'))\n"
        f"import sys; sys.stderr.write('ready'); sys.stderr.flush()\n{code}"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(recsys.__file__).parents[1]),
        "OPENBLAS_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script], stdout=stdout, stderr=subprocess.PIPE, env=environment
    )
    assert process.stderr
    assert process.stderr.read(5) == b"ready"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("busy", BUSY)
def test_a_signal_ends_the_process_at_once(busy: str, number: signal.Signals, code: int) -> None:
    """Within two seconds, in a loop, asleep, or deep inside one call of FAISS or implicit."""
    process = start(BUSY[busy])
    time.sleep(3 if busy in {"faiss", "implicit"} else 0.2)
    assert process.poll() is None, f"{busy} ended before it was interrupted"
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < LIMIT_S
    assert process.returncode == code
    assert f"ended by {number.name}" in err.decode()
    assert out.decode() == f'{{"exit_code": {code}}}\n'


def test_a_full_pipe_does_not_keep_the_process_alive() -> None:
    """Nobody reads stdout, and it is full: the process ends all the same."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writing, True)
    process = start(BUSY["sleeping"], stdout=writing)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert time.monotonic() - sent < LIMIT_S
    assert process.returncode == 143
    os.close(reading)
    os.close(writing)


def test_children_can_be_interrupted_too() -> None:
    """A process that was started by one with the handler has the usual one: signals are not blocked for it."""
    process = start("import subprocess, sys; print(subprocess.run(['sleep', '30']).returncode)")
    time.sleep(0.3)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert out.decode().strip() == "-15"
