"""llama.cpp's own server, as a process: `python tests/llama_server.py MODEL.gguf [MMPROJ.gguf]`; it prints its address.

It ends when its standard input does, so that no test leaves one behind.
"""

from __future__ import annotations

import sys

import xllamacpp


def main(model: str, mmproj: str = "") -> None:
    """Serve a model until nobody holds this process any more."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    if mmproj:
        params.mmproj.path = mmproj
    params.n_ctx, params.n_parallel, params.port, params.warmup = 4096, 2, 0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
