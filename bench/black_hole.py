"""What a healthy EMR's calls cost alone, and beside forty accounts of one that never answers.

    python -m bench.black_hole

CPU is all of this process', the EMR that answers included.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter, process_time

import httpx

from gateway.port import EmrError
from gateway.vendor.http import Door, VendorHttp
from gateway.vendor.transport import AiohttpTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
CALLS = 4000
AT_ONCE = 8
DEAD = 40


def status(response: httpx.Response) -> int:
    return response.status_code


@asynccontextmanager
async def serving(*, answers: bool) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                if answers:
                    writer.write(OK)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def measured(http: VendorHttp) -> str:
    times: list[float] = []
    left = iter(range(CALLS))

    async def caller() -> None:
        for _ in left:
            began = perf_counter()
            await http.read("a", status)
            times.append(perf_counter() - began)

    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    rate, cpu = CALLS / (perf_counter() - began), (process_time() - cpu) / CALLS
    p50, p99 = (statistics.quantiles(times, n=100)[at] * 1000 for at in (49, 98))
    return f"{rate:6.0f} calls/s, p50 {p50:6.2f} ms, p99 {p99:6.2f} ms, CPU {cpu * 1e6:4.0f} us a call"


async def lost(http: VendorHttp) -> None:
    while True:
        with suppress(EmrError):
            await http.read("a", status)
        await asyncio.sleep(2)


async def main() -> None:
    logging.disable()
    async with serving(answers=True) as healthy, serving(answers=False) as dead, AiohttpTransport() as transport:
        http = Door(transport).http(base_url=healthy)
        await measured(http)
        print(f"alone:                          {await measured(http)}")
        doors = [Door(transport).http(base_url=dead, timeout_s=10.0) for _ in range(DEAD)]
        tasks = [asyncio.create_task(lost(door)) for door in doors for _ in range(AT_ONCE)]
        await asyncio.sleep(0.5)
        print(f"beside {DEAD} that hang:           {await measured(http)}")
        await asyncio.sleep(10)
        print(f"beside {DEAD} with open circuits:  {await measured(http)}")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
