"""Start the studio in the browser: `python app.py [--host H] [--port P] [--offline]`."""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmdemo.settings import Settings


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags that were given; the settings have the rest."""
    parser = argparse.ArgumentParser(
        "app.py", description="The studio in the browser, on this machine.", argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--host", help="address to listen on (default: MMDEMO_HOST, or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: MMDEMO_PORT, or 7860)")
    parser.add_argument("--offline", action="store_true", help="never leave this machine, not even for a model")
    return parser.parse_args(given)


def taken(host: str, port: int) -> bool:
    """Whether something else listens there already, or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):  # the second for a port beyond 65535
            return True
    return False


def bracketed(host: str) -> str:
    """A host as an address has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def without_proxy(host: str) -> None:
    """Except this machine from the environment's HTTP proxy: Gradio asks its own address when it starts."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [entry.strip() for entry in os.environ.get(name, "").split(",") if entry.strip()]
        own = [entry for entry in ("127.0.0.1", "localhost", "::1", host) if entry not in known]
        if "*" not in known:
            os.environ[name] = ",".join([*known, *dict.fromkeys(own)])


def keep_uploads(settings: Settings) -> None:
    """Let Gradio keep files in a folder of the user's own rather than the system's; asked before it is imported.

    Each run has one of its own in there, named by its process: two would delete each other's uploads. It goes at the
    end of the program, or at the next start of one.

    Raises:
        InputError: if that folder cannot be made.
    """
    from mmdemo.errors import InputError

    if os.environ.get("GRADIO_TEMP_DIR"):
        return
    folder = settings.page_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        run = tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be used ({error.strerror}): make it writable, or let MMDEMO_HOME name another folder."
        ) from error
    atexit.register(shutil.rmtree, run, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = run


def serve(settings: Settings) -> None:
    """Serve the page until Ctrl+C.

    Raises:
        StudioError: for settings that cannot be used.
    """
    from mmdemo.studio import Studio

    studio = Studio(settings)
    keep_uploads(settings)
    without_proxy(settings.host)
    from mmdemo import ui  # Gradio reads the environment when it is imported

    page: Any = ui.build(studio)
    page.launch(
        server_name=bracketed(settings.host),
        server_port=settings.port,
        prevent_thread_lock=True,
        **ui.launch_options(settings),
    )
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    print(f"mmdemo: http://{bracketed(shown)}:{settings.port}", flush=True)
    try:
        page.block_thread()
    finally:
        page.close(verbose=False)
        studio.close()


def main(given: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl+C; the exit status."""
    flags = vars(arguments(given))

    from mmdemo.errors import StudioError
    from mmdemo.settings import Settings

    try:
        settings = Settings.load(**flags)
        if taken(settings.host, settings.port):
            where = f"{settings.host}:{settings.port}"
            print(f"mmdemo: {where} is in use or not of this machine; choose another with --port, or PORT= of make.")
            return 1
        serve(settings)
    except StudioError as error:
        print(f"mmdemo: {error}")
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C: what the page keeps is cleared away
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
