"""llama.cpp in a process of its own: `python -m mmdemo.runtime.backends.llama_process`, its job as JSON on a line of
standard input, its address as a line of standard output. It ends when its standard input does.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Load a model, serve it on the loopback address to whoever has the key, until nobody holds this process."""
    import xllamacpp

    job = json.loads(sys.stdin.readline())
    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = job["model"], job["mmproj"]
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [job["key"]]
    params.n_ctx, params.n_parallel, params.warmup = job["context"] * job["rows"], job["rows"], False
    params.n_gpu_layers = -1 if job["gpu"] else 0
    params.mmproj_use_gpu = bool(job["gpu"])
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
