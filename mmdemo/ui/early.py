"""A script at the very top of the page, before Gradio's own: it must choose the language before Gradio reads it.

`launch(head=…)` comes too late: Gradio adds it once the page's words are already chosen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mmdemo.ui.i18n import COOKIE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

SCRIPT = (
    "<script>(()=>{const c=document.cookie.match(/(?:^|; )" + COOKIE + "=(en|zh)/);if(!c)return;"
    "const l=c[1]==='zh'?'zh-CN':'en';"
    "Object.defineProperty(navigator,'language',{get:()=>l});"
    "Object.defineProperty(navigator,'languages',{get:()=>[l]})})()</script>"
)


class EarlyScript:
    """Middleware that puts `SCRIPT` behind the first `<head>` of the front page."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass everything on; only a `GET /` that answers with HTML is changed."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            await self.app(scope, receive, send)
            return
        held: list[Message] = []

        async def change(message: Message) -> None:
            if not held and not is_html(message):
                await send(message)
                return
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                for piece in with_script(held):
                    await send(piece)

        await self.app(scope, receive, change)


def is_html(message: Message) -> bool:
    """Whether this message begins an answer that is HTML."""
    if message["type"] != "http.response.start":
        return False
    kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
    return any(kind.startswith(b"text/html") for kind in kinds)


def with_script(messages: list[Message]) -> list[Message]:
    """The two messages of one whole response, with the script in its HTML."""
    start, body = messages[0], b"".join(message.get("body", b"") for message in messages[1:])
    body = body.replace(b"<head>", b"<head>" + SCRIPT.encode(), 1)
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    return [{**start, "headers": headers}, {"type": "http.response.body", "body": body}]
