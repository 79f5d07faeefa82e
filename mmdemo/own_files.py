"""Small files of the user's own in the studio's folder, as JSON: whole, or as they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mmdemo.errors import InputError


def write(path: Path, value: Any) -> None:
    """Write a value so that whoever reads the file meanwhile finds the old one or the new one.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path.name} cannot be written ({error.strerror}): check the folder {path.parent}.") from None
