"""Every setting: name, default, help, environment variable. Nowhere else."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mmdemo.errors import InputError, UnknownName
from mmdemo.options import WORDS

PREFIX = "MMDEMO_"


def setting(default: Any, help: str) -> Any:
    """A dataclass field with a help sentence."""
    return field(default=default, metadata={"help": help})


def default_home() -> str:
    """Where models and everything the user makes are kept."""
    import platformdirs

    return platformdirs.user_data_dir("mmdemo")


@dataclass(frozen=True)
class Settings:
    """Read once at start by `Settings.load`; each is set by `MMDEMO_` and its name in capitals."""

    home: str = setting("", "Folder for models, data and results; empty: the user's data folder.")
    offline: bool = setting(False, "Never leave this machine, not even for a model that is asked for.")
    device: str = setting("auto", "auto, cpu, cuda or mps.")
    threads: int = setting(0, "CPU threads for the models; 0: all cores.")
    memory_gb: float = setting(0.0, "Memory the loaded models may take, in GB; 0: 70 % of the machine's.")
    offload: str = setting(
        "cpu", "Where layers go that a GPU has no room for: no, cpu, or disk (slow; without a GPU too)."
    )
    trust_remote_code: str = setting(
        "",
        "Keys of models whose own Python code may run, with a comma between them; that code can do anything you can.",
    )
    remotes: str = setting(
        "",
        "Servers that speak OpenAI's protocol, by base URL, with a blank between them; URL=VARIABLE names the "
        "environment variable that holds the key.",
    )
    remote_seconds: float = setting(120.0, "A server that has sent nothing for so many seconds has failed.")
    idle_minutes: int = setting(30, "A model that nobody has used for so many minutes is unloaded; 0: never.")
    max_megabytes: int = setting(4096, "Largest file that is opened, in MB.")
    max_megapixels: int = setting(100, "Largest picture that is opened, in millions of pixels.")
    max_seconds: int = setting(6 * 3600, "Longest recording or video, in seconds.")
    max_files: int = setting(20_000, "Most files in one request.")
    grace_seconds: int = setting(60, "Seconds a training that is stopped has to keep what it did, before it is ended.")
    host: str = setting("127.0.0.1", "Address the page is served on; 0.0.0.0: to every machine of the network.")
    port: int = setting(7860, "Port the page is served on.")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Settings from `given`, then the environment, then the defaults.

        Raises:
            UnknownName: for an `MMDEMO_…` variable or a keyword that is no setting.
            InputError: for a value of the wrong kind.
        """
        environment = os.environ if environment is None else environment
        known = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in environment.items():
            if variable.startswith(PREFIX):
                name = variable.removeprefix(PREFIX).lower()
                if name not in known:
                    raise UnknownName("setting", variable, (PREFIX + n.upper() for n in known))
                if text.strip():  # an empty variable is one that is not set
                    values[name] = parse(variable, text.strip(), type(known[name].default))
        for name, value in given.items():
            if name not in known:
                raise UnknownName("setting", name, known)
            values[name] = parse(name, str(value), type(known[name].default))
        values["home"] = str(Path(values.get("home") or default_home()).expanduser().absolute())
        return cls(**values)

    def trusts(self, key: str) -> bool:
        """Whether the code that a model brings may run: only if it is named, by its whole key."""
        return key in {one.strip() for one in self.trust_remote_code.split(",") if one.strip()}

    @property
    def models_folder(self) -> Path:
        """Where checkpoints are kept, one folder a catalog key."""
        return Path(self.home) / "models"

    @property
    def runs_folder(self) -> Path:
        """Where jobs keep what they make, one folder each."""
        return Path(self.home) / "runs"

    @property
    def chains_folder(self) -> Path:
        """Where chains that were composed are kept, one folder each."""
        return Path(self.home) / "chains"

    @property
    def datasets_folder(self) -> Path:
        """Where data to train on are kept, one folder a set."""
        return Path(self.home) / "datasets"

    @property
    def page_folder(self) -> Path:
        """Where the page keeps what is uploaded and what it hands out."""
        return Path(self.home) / "cache" / "page"


YES_NO = {
    "1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def parse(name: str, text: str, kind: type) -> Any:
    """`text` as a bool, int, float or str. No setting is a negative number.

    Raises:
        InputError: naming the variable and what it should look like.
    """
    try:
        value = YES_NO[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise InputError(f"{name} is {text!r}, but must be {WORDS[kind]}.") from None
    if kind in (int, float) and not (math.isfinite(value) and value >= 0):
        raise InputError(f"{name} is {text!r}, but must be {WORDS[kind]}, 0 or more.")
    return value
