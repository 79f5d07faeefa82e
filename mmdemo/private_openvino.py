"""OpenVINO without its telemetry.

`import openvino` reports the import to a server of its makers, and so does every conversion, unless a package named
openvino_telemetry cannot be imported; then it uses a stub that does nothing. Nothing leaves this machine unless the
user asks for it, so the package is made absent before the first import.
"""

from __future__ import annotations

import sys
from typing import Any


def load() -> Any:
    """The `openvino` module. Nothing else imports it."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # `import` then says that there is none
    import openvino

    return openvino


def genai() -> Any:
    """The `openvino_genai` module, which needs the other one."""
    load()
    import openvino_genai

    return openvino_genai
