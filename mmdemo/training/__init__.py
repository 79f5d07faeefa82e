"""Learning from a data set: `config` says what, `run` does it, `loop` is the one loop of all `recipes`.

A run is a folder with `run.json`; `python -m mmdemo.training FOLDER/run.json` starts it, and goes on with it.
"""
