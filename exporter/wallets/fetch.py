"""One request to a pool's statistics: bounded in time and size, and never led elsewhere.

No message and no log line holds the path, since the wallet's address is in it.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx

from exporter import __version__
from exporter.errors import FlockwatchError

#: No honest answer is longer, a thousand workers included.
MAX_BYTES: Final = 1 << 20
_SECONDS: Final = 10.0
#: For the whole exchange, redirects and slow bodies included.
_LONGEST_SECONDS: Final = 20.0
_REDIRECTS: Final = 3


class PoolError(FlockwatchError):
    """A pool told nothing that can be used; the message is one line for people."""


class WalletNotKnown(PoolError):
    """The server has nothing on the wallet: no share came for it, or not for long."""


def new_client() -> httpx.AsyncClient:
    """A client for `fetch`. Reads certificates from disk: make it in a thread where a loop must not wait."""
    return httpx.AsyncClient(
        headers={
            "User-Agent": f"flockwatch/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        timeout=_SECONDS,
        limits=httpx.Limits(max_connections=16, max_keepalive_connections=4),
        follow_redirects=False,
        verify=ssl.create_default_context(),
    )


async def fetch(client: httpx.AsyncClient, base_url: str, path: str) -> bytes:
    """The body of an answer with status 200.

    Redirects are followed from https to https on the same host and port alone.

    Raises:
        PoolError: no such answer came; the message says why.
    """
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            return await _fetch(client, base_url, path)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise PoolError(f"{base_url} did not answer in time") from error
    except httpx.ConnectError as error:
        raise PoolError(f"{base_url} cannot be reached") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise PoolError(f"{base_url} broke off or answered no HTTP ({type(error).__name__})") from error


async def _fetch(client: httpx.AsyncClient, base_url: str, path: str) -> bytes:
    url = httpx.URL(base_url + path)
    for _ in range(_REDIRECTS + 1):
        async with client.stream("GET", url) as answer:
            if answer.is_redirect and "location" in answer.headers:
                url = _target(base_url, url, answer.headers["location"])
                continue
            _check_status(base_url, answer.status_code)
            return await _body(base_url, answer)
    raise PoolError(f"{base_url} redirects for ever")


def _target(base_url: str, url: httpx.URL, location: str) -> httpx.URL:
    target = url.join(location)
    if url.scheme == target.scheme == "https" and (target.host, target.port) == (url.host, url.port):
        return target
    raise PoolError(
        f"{base_url} redirects to {target.scheme}://{target.netloc.decode('ascii', 'replace')}, which is not followed;"
        " where that is right name it under pools.hosts in targets.yml"
    )


def _check_status(base_url: str, status: int) -> None:
    if status == httpx.codes.OK:
        return
    if status == httpx.codes.NOT_FOUND:
        raise WalletNotKnown(
            f"{base_url} does not know the wallet: nothing has been mined to it there, or not for long"
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise PoolError(f"{base_url} wants to be asked less often; it is asked again in a few minutes")
    raise PoolError(f"{base_url} answered with status {status}")


async def _body(base_url: str, answer: httpx.Response) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise PoolError(f"{base_url} compressed its answer though it was asked not to")
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_raw():
        size += len(part)
        if size > MAX_BYTES:
            raise PoolError(f"{base_url} answered with more than {MAX_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)
