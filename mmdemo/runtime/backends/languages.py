"""The language a recording is said to be in."""

from __future__ import annotations

from collections.abc import Sequence

from mmdemo.errors import UnknownName, Unsupported


def checked(code: str, able: Sequence[str], known: Sequence[str], title: str) -> str:
    """`code` in lower case, or empty if it is to be detected.

    Args:
        able: the codes the model can hear.
        known: all codes its kind of model has.

    Raises:
        UnknownName: nobody knows the code; lists those the model can hear.
        Unsupported: the code is a language, but this model does not hear it.
    """
    code = code.strip().lower()
    if not code or code in able:
        return code
    if code in known:
        raise Unsupported(
            f"{title} hears only {', '.join(able)}, not {code!r}: choose another model, such as Whisper base."
        )
    raise UnknownName("language", code, able)
