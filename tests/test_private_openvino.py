"""OpenVINO is used, and tells nobody."""

from __future__ import annotations

import subprocess
import sys

WATCHED = """
import socket, sys, threading
reached = []
real = socket.socket.connect
def connect(self, address):
    reached.append(address)
    raise OSError("no network in this test")
socket.socket.connect = connect
socket.getaddrinfo = lambda *given, **more: reached.append(given) or []
{importing}
import openvino.tools.ovc
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
print("telemetry" if getattr(sys.modules.get("openvino_telemetry"), "Telemetry", None) else "quiet", len(reached))
"""


def test_importing_it_reaches_nobody() -> None:
    script = WATCHED.format(importing="from mmdemo.private_openvino import load; openvino = load(); openvino.Core()")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "quiet 0", done.stdout + done.stderr


def test_nothing_else_in_the_program_imports_it_directly() -> None:
    from pathlib import Path

    package = Path(__file__).parents[1] / "mmdemo"
    direct = [path.name for path in package.rglob("*.py") if "import openvino" in path.read_text(encoding="utf-8")]
    assert direct == ["private_openvino.py"]
