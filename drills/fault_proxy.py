"""A TCP proxy that misbehaves on purpose, between an S3 client and a server.

with FaultProxy(server_port) as proxy:
    proxy.fault = "reset"       # what the next connections get
    proxy.num_faults = 3        # so many of them; then it behaves
    ... AWS_ENDPOINT_URL=http://127.0.0.1:{proxy.port} ...
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Literal

Fault = Literal["unavailable", "reset", "silent", "slow", "cut off"]
CHUNK_BYTES = 65536
UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: 110\r\n\r\n"
    + b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate"
    b"</Message></Error>".ljust(110)
)


class FaultProxy:
    """Passes bytes on to a server on this machine; a context manager.

    Args:
        server_port: Where the server listens.

    Attributes:
        port: Where the proxy listens.
        fault: What is done to a connection: `unavailable` answers 503, `reset` resets it after the
            request's first bytes, `silent` never answers, `slow` waits between small pieces,
            `cut off` ends it after 100,000 bytes of answer.
        num_faults: Connections that are still to get it.
        num_done: Connections that got it.
        num_bytes: Passed on so far, both ways.
        hold_at_bytes: Once so many are passed on nothing more is, until this is None again.
    """

    def __init__(self, server_port: int) -> None:
        self.fault: Fault = "reset"
        self.num_faults = 0
        self.num_done = 0
        self.num_bytes = 0
        self.hold_at_bytes: int | None = None
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        serving = asyncio.start_server(self._serve, sock=self._listener)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end_connections(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_connections(self) -> None:
        self._server.close()
        mine = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        fault: Fault | None = None
        if self.num_faults > 0:
            self.num_faults -= 1
            self.num_done += 1
            fault = self.fault
        first = await client.read(CHUNK_BYTES)
        if fault == "unavailable":
            answer.write(UNAVAILABLE)
            await answer.drain()
        elif fault == "reset":
            # No lingering: the kernel sends RST instead of a polite end.
            answer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        elif fault == "silent":
            await client.read()  # until the client gives up
        else:
            await self._pass_on(first, client, answer, fault)
        answer.close()

    async def _pass_on(
        self,
        first: bytes,
        client: asyncio.StreamReader,
        answer: asyncio.StreamWriter,
        fault: Fault | None,
    ) -> None:
        try:
            server, request = await asyncio.open_connection("127.0.0.1", self._server_port)
        except ConnectionError:
            return  # the server is away: so the client finds it
        self.num_bytes += len(first)
        request.write(first)
        slow = _pause if fault == "slow" else None
        limit = 100_000 if fault == "cut off" else None
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._copy(client, request, slow, None)),
                    asyncio.create_task(self._copy(server, answer, slow, limit)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            request.close()

    async def _copy(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        before_each: Callable[[], Awaitable[None]] | None,
        limit_bytes: int | None,
    ) -> None:
        passed = 0
        try:
            while data := await source.read(CHUNK_BYTES):
                if before_each is not None:
                    await before_each()
                while self.hold_at_bytes is not None and self.num_bytes >= self.hold_at_bytes:
                    await asyncio.sleep(0.01)
                target.write(data)
                await target.drain()
                passed += len(data)
                self.num_bytes += len(data)
                if limit_bytes is not None and passed >= limit_bytes:
                    return
        except ConnectionError:
            return


async def _pause() -> None:
    await asyncio.sleep(0.02)
