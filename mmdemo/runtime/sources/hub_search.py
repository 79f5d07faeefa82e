"""An action of `hub_program.py`: search the Hub for models that an engine here can run."""

from __future__ import annotations

from itertools import islice
from typing import Any, get_args

from mmdemo.runtime.sources.hub_program import patient
from mmdemo.specs import Task

_TASKS = {
    "image-text-to-text": "describe",
    "image-to-text": "describe",
    "automatic-speech-recognition": "transcribe",
    "text-generation": "talk",
    "feature-extraction": "embed",
    "sentence-similarity": "embed",
    "text-to-speech": "speak",
}
USABLE = {tag: task for tag, task in _TASKS.items() if task in get_args(Task)}
"""What the Hub calls the tasks that are done here (`pipeline_tag`), and what they are called here."""
LIBRARIES = ("transformers", "sentence-transformers", "gguf", "ctranslate2", "")
LOOKED_AT = 200
"""Models that are looked at, the most downloaded first."""
BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "I8": 1,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F4": 0.5,
}  # fmt: skip
"""Of one parameter, by its safetensors type."""
FIELDS = ["downloads", "gated", "gguf", "library_name", "likes", "pipeline_tag", "private", "safetensors", "tags"]


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Up to `limit` models whose names have the `words`, most downloaded first; `tasks` are `pipeline_tag`s, or none.

    Where `licence` or `billions` (of parameters, at most) are given, only those that the Hub knows to have them.

    Each has `repo`, `task`, `licence`, `downloads`, `likes`, `gated`, and as far as the Hub knows them (else 0) its
    `parameters` and `bytes`.
    """
    from huggingface_hub import HfApi

    found: dict[str, dict[str, Any]] = {}
    for tag in job["tasks"] or [None]:

        def ask(tag: str | None = tag) -> list[Any]:
            models = HfApi().list_models(
                search=job["words"] or None,
                pipeline_tag=tag,
                filter=f"license:{job['licence']}" if job["licence"] else None,
                num_parameters=f"max:{job['billions']:g}B" if job["billions"] else None,
                sort="downloads",
                limit=LOOKED_AT,
                expand=FIELDS,  # type: ignore[arg-type]
            )
            return list(islice(models, LOOKED_AT))

        for info in patient(ask):
            if usable(info):
                found[info.id] = described(info)
    best = sorted(found.values(), key=lambda one: -one["downloads"])
    return {"done": True, "found": best[: job["limit"]]}


def usable(info: Any) -> bool:
    """Whether an engine here may run it, as far as its card says."""
    library = (info.library_name or "").lower()
    known = library in LIBRARIES or "gguf" in (info.tags or ())
    return (info.pipeline_tag or "") in USABLE and known and info.id.count("/") == 1


def described(info: Any) -> dict[str, Any]:
    """One line of the results."""
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    kinds = info.safetensors.parameters if info.safetensors else {}
    return {
        "repo": info.id,
        "task": USABLE[info.pipeline_tag],
        "licence": tags[0] if tags else "",
        "downloads": info.downloads or 0,
        "likes": info.likes or 0,
        "gated": bool(info.gated),
        "parameters": sum(kinds.values()) or int((info.gguf or {}).get("total", 0)),
        "bytes": int(sum(count * BYTES.get(kind, 0) for kind, count in kinds.items())),
    }
