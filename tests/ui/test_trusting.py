"""Only whoever sits at this machine may let a model's own code run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmdemo.ui.here import is_here


def request(client: str, **headers: str) -> SimpleNamespace:
    return SimpleNamespace(
        client=SimpleNamespace(host=client), headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.mark.parametrize(
    ("client", "host"),
    [("127.0.0.1", "127.0.0.1:7860"), ("::1", "[::1]:7860"), ("127.0.0.1", "localhost:7860")],
)
def test_a_page_that_is_open_on_this_machine_may(client: str, host: str) -> None:
    assert is_here(request(client, host=host))


@pytest.mark.parametrize(
    "asked",
    [
        request("192.168.1.7", host="192.168.1.2:7860"),
        request("192.168.1.7", host="127.0.0.1:7860"),
        request("127.0.0.1", host="studio.example.org"),
        request("127.0.0.1", host="127.0.0.1:7860", x_forwarded_for="192.168.1.7"),
        request("127.0.0.1", host="localhost:7860", via="1.1 proxy"),
        request("127.0.0.1", host="[::1"),
        request("127.0.0.1"),
        SimpleNamespace(client=None, headers={}),
        SimpleNamespace(),
    ],
)
def test_nobody_else_may(asked: SimpleNamespace) -> None:
    """A proxy, a tunnel, or a name that leads here makes the connection look local."""
    assert not is_here(asked)
