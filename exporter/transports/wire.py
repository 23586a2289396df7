"""The transports together, as the engine uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event
from typing import TypeVar

import httpx

from exporter.drivers.api import Answer, HttpRequest
from exporter.engine.exchange import Endpoint, Script
from exporter.transports import cgminer
from exporter.transports.batch import Batch
from exporter.transports.digest import request_signed
from exporter.transports.http import HttpConnections

T = TypeVar("T")


class NetworkWire:
    """HTTP and CGMiner exchanges over real sockets. Belongs to one event loop."""

    def __init__(self) -> None:
        self._http = HttpConnections()

    async def http(
        self,
        endpoint: Endpoint,
        request: HttpRequest,
        headers: tuple[tuple[str, str], ...],
        timeout: float,
        keep_alive: bool,
    ) -> Answer:
        """One request, whatever its status. Raises `MinerError`."""
        headers = (*request.headers, *headers)
        if request.body is not None:
            headers = (*headers, ("content-type", request.content_type))
        return await self._http.request(
            endpoint.address,
            request.port or endpoint.http_port,
            request.method,
            request.path,
            headers=headers,
            body=request.body,
            timeout=timeout,
            keep_alive=keep_alive,
        )

    async def http_signed(
        self, endpoint: Endpoint, request: HttpRequest, auth: httpx.Auth, timeout: float, keep_alive: bool
    ) -> Answer:
        """One signed request. Raises `AuthError` where the device wants other credentials, else `MinerError`."""
        return await request_signed(
            self._http,
            endpoint.address,
            request.port or endpoint.http_port,
            request,
            auth,
            timeout=timeout,
            keep_alive=keep_alive,
        )

    async def cgminer(self, endpoint: Endpoint, port: int, payload: bytes, timeout: float) -> bytes:
        """One CGMiner exchange. Raises `MinerError`."""
        return await cgminer.exchange(endpoint.address, port, payload, timeout=timeout)

    def run_scripts(
        self,
        scripts: Iterable[tuple[Endpoint, Script[T]]],
        timeout: float,
        on_end: Callable[[Endpoint, T], None],
        stop: Event,
    ) -> None:
        """Scripts for many hosts, over connections of their own. Blocking, for a thread."""
        Batch(timeout=timeout, on_end=on_end).run(scripts, stop)

    async def close_host(self, endpoint: Endpoint) -> None:
        """Drop the keep-alive connections to a host."""
        await self._http.close_host(endpoint.address)

    async def close(self) -> None:
        """Drop all connections."""
        await self._http.close()
