"""The program of the tests' jobs: counts, says so in events.jsonl, keeps its count in a file, stops when it is asked.

python program.py FOLDER STEPS SECONDS [deaf | fail WORDS | print WORDS | kill]
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

folder, steps, pause, *how = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]
wanted = []
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in how else lambda *_: wanted.append(1))


def say(kind: str, **values: object) -> None:
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), "kind": kind, **values}) + "\n")


kept = folder / "count.txt"
count = int(kept.read_text()) if kept.exists() else 0
print(f"begins at {count}", flush=True)
say("note", message="Counting")
if how[:1] == ["fail"]:
    say("failed", message=how[1])
    sys.exit(1)
if how[:1] == ["print"]:
    print("first\n" + how[1], flush=True)
    sys.exit(3)
if how[:1] == ["kill"]:
    os.kill(os.getpid(), signal.SIGKILL)
while count < steps:
    time.sleep(pause)
    count += 1
    kept.write_text(str(count))
    say("progress", step=count, steps=steps, loss=1 / count)
    say("metric", step=count, values={"wer": 1 / count}, split="validation")
    if wanted:
        say("stopped", message="")
        sys.exit(75)
say("done", message="")
