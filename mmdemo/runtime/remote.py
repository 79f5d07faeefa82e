"""Asking a server that speaks OpenAI's protocol: its list of models, chat as it streams, transcripts.

A request runs in an event loop on a thread of its own; who waits for it asks every tenth of a second whether the user
has stopped, and then the connection is closed at once. A key is read from the environment when a request is sent, goes
into its header, and is taken out of whatever the server says.

Format: platform.openai.com/docs/api-reference, as vLLM, SGLang, llama-server and Ollama serve it; events as the HTML
Standard has them, section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import httpx

from mmdemo.errors import Cancelled, ServerFailed
from mmdemo.remote_rows import is_loopback
from mmdemo.runtime.remote_errors import Told
from mmdemo.runtime.remote_reading import body_of, lines_of, names_in, object_in, piece_of
from mmdemo.specs import Remote

T = TypeVar("T")
POLL = 0.1
"""Seconds between two looks at whether the user has stopped."""
CONNECT = 10.0
"""Seconds that a connection may take."""
AT_ONCE = 8
"""Requests that one piece of work has with a server at the same time; vLLM and SGLang batch them."""
Reply = tuple[int, str]
"""Number of the request, a piece of its answer."""


class Server:
    """A server, and the model there that a row means."""

    def __init__(self, source: Remote, key: str = "") -> None:
        """Nothing is asked yet.

        Args:
            key: of a server that this program has started itself; else the row names the variable that holds it.

        Raises:
            ServerFailed: the variable that should hold the key is not set, or holds what is no key.
        """
        self.source = source
        self._told = Told(source, key)
        self.cancelled: Callable[[], bool] = lambda: False
        self._told.key()  # which is refused now if it is none

    def models(self) -> list[str]:
        """The names of what the server serves.

        Raises:
            Unreachable, ServerFailed, Cancelled.
        """

        async def work(client: httpx.AsyncClient, put: Callable[[list[str]], None]) -> None:
            listed = await self._whole(client, "GET", "models")
            if not isinstance(listed.get("data"), list):
                raise self._told.garbage()
            put(names_in(listed))

        return next(self._run(work))

    def chat(self, bodies: Sequence[Mapping[str, Any]]) -> Generator[Reply, None, None]:
        """Answers to several requests at once, in pieces as they come; closing it closes the connections.

        Args:
            bodies: of `/chat/completions`, without model and stream.

        Raises:
            Unreachable, ServerFailed, Cancelled.
        """
        gate = asyncio.Semaphore(AT_ONCE)

        async def work(client: httpx.AsyncClient, put: Callable[[Reply], None]) -> None:
            async def one(index: int, body: Mapping[str, Any]) -> None:
                async with gate:
                    async for piece in self._stream(client, {**body, "model": self.source.model, "stream": True}):
                        put((index, piece))

            async with asyncio.TaskGroup() as group:
                for index, body in enumerate(bodies):
                    group.create_task(one(index, body))

        yield from self._run(work)

    def listen(
        self, path: str, sounds: Sequence[bytes], fields: Mapping[str, Any]
    ) -> Generator[tuple[int, dict[str, Any]], None, None]:
        """What is heard in each of several WAV files, by number, as they are heard.

        Args:
            path: `audio/transcriptions` or `audio/translations`.
            fields: of the form, besides file and model.

        Raises:
            Unreachable, ServerFailed, Cancelled.
        """
        gate = asyncio.Semaphore(AT_ONCE)

        async def work(client: httpx.AsyncClient, put: Callable[[tuple[int, dict[str, Any]]], None]) -> None:
            async def one(index: int, sound: bytes) -> None:
                async with gate:
                    put((index, await self._whole(
                        client, "POST", path, data={"model": self.source.model, **fields},
                        files={"file": ("speech.wav", sound, "audio/wav")},
                    )))  # fmt: skip

            async with asyncio.TaskGroup() as group:
                for index, sound in enumerate(sounds):
                    group.create_task(one(index, sound))

        yield from self._run(work)

    def _run(
        self, work: Callable[[httpx.AsyncClient, Callable[[T], None]], Awaitable[None]]
    ) -> Generator[T, None, None]:
        """What `work(client, put)` puts, while it runs; whatever ends this, its connections are closed."""
        items: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        loop, stopped = asyncio.new_event_loop(), asyncio.Event()

        async def until_stopped() -> None:
            async with self._client() as client:
                working = asyncio.ensure_future(work(client, lambda item: items.put(("item", item))))
                stopping = asyncio.ensure_future(stopped.wait())
                await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                working.cancel()
                await asyncio.gather(stopping, return_exceptions=True)
                await working

        def run() -> None:
            try:
                loop.run_until_complete(until_stopped())
                items.put(("end", None))
            except BaseException as error:  # noqa: BLE001  # raised again in the reader's thread
                items.put(("error", self._told.reason(error)))
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

        thread = threading.Thread(target=run, name="remote", daemon=True)
        thread.start()
        try:
            while True:
                if self.cancelled():
                    raise Cancelled("Stopped.")
                try:
                    kind, value = items.get(timeout=POLL)
                except queue.Empty:
                    continue
                if kind == "error":
                    raise value
                if kind == "end":
                    return
                yield value
        finally:
            if thread.is_alive() and not loop.is_closed():
                with suppress(RuntimeError):  # it was closed in this moment: it has ended
                    loop.call_soon_threadsafe(stopped.set)
            thread.join(1.0)  # a name that is still being looked up cannot be stopped; it holds nothing of ours

    def _client(self) -> httpx.AsyncClient:
        key = self._told.key()
        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(self.source.seconds, connect=min(CONNECT, self.source.seconds)),
            trust_env=not is_loopback(self.source.url),  # proxies are for other machines
            follow_redirects=False,  # the key is for this server alone
        )

    @asynccontextmanager
    async def _answer(
        self, client: httpx.AsyncClient, method: str, path: str, **more: Any
    ) -> AsyncIterator[httpx.Response]:
        """A request's answer, if it is one with status 200; the connection is closed afterwards."""
        async with client.stream(method, f"{self.source.url}/{path}", **more) as response:
            if response.status_code != 200:
                said = (await body_of(response)) or b""
                if response.status_code == 404 and path != "models":
                    raise self._told.missing(await self._listed(client))
                raise self._told.refusal(response, said)
            yield response

    async def _whole(self, client: httpx.AsyncClient, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The JSON object that is the whole answer."""
        async with self._answer(client, method, path, **more) as response:
            body = await body_of(response)
        value = object_in(body or b"")
        if value is None:
            raise self._told.garbage()
        return value

    async def _stream(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> AsyncIterator[str]:
        """The pieces of one answer of `/chat/completions`."""
        ended = False
        async with self._answer(client, "POST", "chat/completions", json=body) as response:
            async for line in lines_of(response, self._told.garbage):
                if not line.startswith(b"data:"):
                    continue  # a comment that keeps the connection, or the name of an event
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                event = object_in(data)
                if event is None:
                    raise self._told.garbage()
                if "error" in event:
                    raise self._told.ended(data)
                text, finished = piece_of(event)
                ended = ended or finished
                if text:
                    yield text
            if not ended:
                content = response.headers.get("content-type", "")
                raise self._told.broken() if "event-stream" in content else self._told.garbage()

    async def _listed(self, client: httpx.AsyncClient) -> list[str]:
        """The names that the server lists; none if it does not."""
        try:
            return names_in(await self._whole(client, "GET", "models"))
        except (ServerFailed, httpx.HTTPError):
            return []
