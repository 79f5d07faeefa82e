"""Peak memory while captioning a 5-minute and a 60-minute video: frames are a stream, so the two must be alike.

The videos are one real clip with speech, repeated by copying its packets (nothing is decoded or encoded), so that they
differ in length alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.table import Row, at_most

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "assets" / "samples" / "clip.mp4"
SHORT, LONG = 5 * 60, 60 * 60
GOAL = 1.10


def repeated(clip: Path, target: Path, seconds: float) -> int:
    """Write `clip` again and again into `target` until it is `seconds` long; how many times.

    Every stream of the clip is moved by the same step each time, the span of its longest stream.
    """
    import av

    with av.open(str(target), "w") as out:
        with av.open(str(clip)) as first:
            streams = {s.index: out.add_stream_from_template(s) for s in first.streams if s.type in ("video", "audio")}
            step = span(first)
        times = 0
        while times * step < seconds:
            with av.open(str(clip)) as source:
                for packet in source.demux():
                    if packet.dts is None or packet.stream.index not in streams:
                        continue
                    shift = round(times * step / packet.time_base)
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
            times += 1
    return times


def span(container: Any) -> float:
    """Seconds from the first packet of a stream to the end of its last, for the longest stream.

    Decoding times count: an encoder's delay makes the first ones negative.
    """
    packets = [packet for packet in container.demux() if packet.dts is not None]
    return max(
        max(float((p.dts + (p.duration or 0)) * p.time_base) for p in packets if p.stream.index == index)
        - min(float(p.dts * p.time_base) for p in packets if p.stream.index == index)
        for index in {p.stream.index for p in packets}
    )


def peak(command: list[str]) -> tuple[int, float]:
    """(most bytes resident in a command and its children together, seconds it ran).

    Polled twenty times a second. What two processes share counts twice; both runs have the same processes.

    Raises:
        RuntimeError: if it fails.
    """
    import psutil

    begun = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log)
        highest = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal highest
            root = psutil.Process(process.pid)
            while not done.wait(0.05):
                total = 0
                try:
                    for one in (root, *root.children(recursive=True)):
                        total += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                highest = max(highest, total)

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        done.set()
        watcher.join()
        if status:
            log.seek(0)
            raise RuntimeError(f"{command} failed: {log.read().decode()[-2000:]}")
    return highest, time.perf_counter() - begun


def caption(video: Path, folder: Path) -> tuple[int, float]:
    """`peak` of captioning one video as a user would."""
    return peak([sys.executable, "-m", "mmdemo", "caption", str(video), "-o", str(folder / (video.stem + ".srt"))])


def run(short: float = SHORT, long: float = LONG) -> list[Row]:
    """The long video's peak over the short one's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peaks: list[int] = []
        for seconds in (short, long):
            video = folder / f"{seconds:g}.mp4"
            repeated(CLIP, video, seconds)
            bytes_, took = caption(video, folder)
            peaks.append(bytes_)
            print(
                f"  {seconds / 60:g} min of video: {bytes_ / 2**20:.0f} MiB, {took:.0f} s", file=sys.stderr, flush=True
            )
    first, second = peaks
    what = f"peak memory, a {long / 60:g}-minute video against a {short / 60:g}-minute one"
    return [at_most(what, f"{second / 2**20:.0f} MiB", f"{first / 2**20:.0f} MiB", second / first, GOAL)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", type=float, default=SHORT, help="seconds")
    parser.add_argument("--long", type=float, default=LONG, help="seconds")
    given = parser.parse_args()
    print(run(given.short, given.long))
