"""A server of TCP between a program and what it needs, whose connections can be cut."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

SIZE = 1 << 16


class Proxy:
    """Passes connections to 127.0.0.1:port on, until the block ends."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = True
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        started = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        """Every socket is closed: the listening one, and those of connections."""
        self._server.close()
        self._abort()
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        await asyncio.sleep(0.05)  # a turn of the loop, in which aborted transports close

    def cut(self) -> None:
        """Every connection is gone, and new ones are refused until `mend`."""
        self._open = False
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        """New connections are passed on again."""
        self._open = True

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))
        self._writers -= {writer, there[1]}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(SIZE):
            writer.write(data)
            await writer.drain()
    writer.close()
