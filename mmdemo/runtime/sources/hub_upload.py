"""An action of `hub_program.py`: put a folder into a repository of the Hub, which is made if it is not there."""

from __future__ import annotations

import os
from typing import Any

from mmdemo.runtime.sources.hub_program import patient, say


def upload(job: dict[str, Any]) -> dict[str, Any]:
    """Upload `folder` to `repo`, made `private` or not, in one commit; `url` is where it is.

    The token is HF_TOKEN, and not one that a client has saved on this machine.
    """
    from huggingface_hub import HfApi, constants

    constants.HF_HUB_DISABLE_XET = True  # its own protocol waits as it likes, and cannot be watched as HTTP is
    api = HfApi(token=os.environ["HF_TOKEN"])
    made = patient(lambda: api.create_repo(job["repo"], private=job["private"], exist_ok=True))
    say({"made": str(made)})
    told = patient(
        lambda: api.upload_folder(repo_id=job["repo"], folder_path=job["folder"], commit_message="A model of mmdemo")
    )
    return {"done": True, "url": str(made), "commit": told.oid}
