"""Signed HTTP requests: digest or basic, as the device challenges.

Stock Antminers speak digest with realm "antMiner Configuration" (protocols: HTTP 80 CGI, default root/root). The
challenge is kept in the `SignedIn` object, so that a steady poll costs one request.
"""

from __future__ import annotations

from collections.abc import Generator

import httpx

from exporter.drivers.api import Answer, HttpRequest
from exporter.errors import AuthError, NoChallenge, ProtocolError
from exporter.protocols.digest import Signer
from exporter.protocols.http1 import MAX_BODY_BYTES, ResponseParser, host_header
from exporter.transports.connecting import place
from exporter.transports.http import DEFAULT_TIMEOUT, REPEATABLE, HttpConnections, httpx_response, own_headers


class SignedIn(httpx.Auth):
    """User and password for one device, with the scheme and challenge it sent last.

    One object per device, kept between polls. Never shows its secrets.
    """

    def __init__(self, username: str, password: str) -> None:
        self._digest = Signer(username, password)

    def __repr__(self) -> str:
        return "SignedIn(...)"

    @property
    def signer(self) -> Signer:
        """What makes the headers."""
        return self._digest

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the requests to send, as httpx asks for it: one in the steady state, two after a challenge."""
        target = request.url.raw_path.decode("ascii")
        header = self._digest.header(request.method, target)
        if header is not None:
            request.headers["Authorization"] = header
        response = yield request
        if response.status_code == 401 and self._digest.take(response.headers.get_list("www-authenticate")):
            request.headers["Authorization"] = self._digest.header(request.method, target) or ""
            yield request


async def request_signed(
    connections: HttpConnections,
    address: str,
    port: int,
    request: HttpRequest,
    auth: httpx.Auth,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    keep_alive: bool = True,
    max_body: int = MAX_BODY_BYTES,
) -> Answer:
    """Send `request` signed by `auth` (a `SignedIn` or any httpx auth), answering the device's challenge.

    `timeout` is that of each exchange: the first one takes two.

    Raises:
        AuthError: the device wants other credentials; `NoChallenge` where it has not judged these.
        RequestTimeoutError, ConnectionRefused, Unreachable, ProtocolError, TooLarge: as `HttpConnections.request`.
    """
    if isinstance(auth, SignedIn):
        return await _request_by_signer(
            connections, address, port, request, auth.signer, timeout=timeout, keep_alive=keep_alive, max_body=max_body
        )
    where = f"{place(address, port)}: {request.key}"
    headers = list(request.headers)
    if request.body is not None:
        headers.append(("Content-Type", request.content_type))
    url = f"http://{host_header(address, port)}{request.path}"
    prepared = httpx.Request(request.method, url, headers=headers, content=request.body)

    async def send(signed: httpx.Request) -> ResponseParser:
        return await connections.exchange(
            address,
            port,
            request.method,
            # As httpx writes it: the digest covers the path.
            signed.url.raw_path.decode("ascii"),
            headers=own_headers(signed),
            body=request.body,
            timeout=timeout,
            keep_alive=keep_alive,
            max_body=max_body,
        )

    flow = auth.sync_auth_flow(prepared)
    signed: httpx.Request | None = next(flow)
    while signed is not None:
        try:
            parser = await send(signed)
        except ProtocolError:
            # Some devices close on a request without credentials before they say anything.
            if request.method not in REPEATABLE or "authorization" in signed.headers:
                raise
            parser = await send(signed)
        signed = _next_request(flow, httpx_response(parser, signed), where)
    if parser.status == 401:
        raise AuthError(f"{where}: the device refuses the user or the password")
    return Answer(parser.body, parser.status, parser.headers)


async def _request_by_signer(
    connections: HttpConnections,
    address: str,
    port: int,
    request: HttpRequest,
    signer: Signer,
    *,
    timeout: float,
    keep_alive: bool,
    max_body: int,
) -> Answer:
    """As `request_signed`, without httpx' types: a third of the cost."""
    plain = request.headers if request.body is None else (*request.headers, ("Content-Type", request.content_type))

    async def send(header: str | None) -> ResponseParser:
        return await connections.exchange(
            address,
            port,
            request.method,
            request.path,
            headers=plain if header is None else (*plain, ("Authorization", header)),
            body=request.body,
            timeout=timeout,
            keep_alive=keep_alive,
            max_body=max_body,
        )

    header = signer.header(request.method, request.path)
    try:
        parser = await send(header)
    except ProtocolError:
        # Some devices close on a request without credentials before they say anything.
        if request.method not in REPEATABLE or header is not None:
            raise
        parser = await send(None)
    if parser.status == 401:
        where = f"{place(address, port)}: {request.key}"
        challenges = [value for name, value in parser.header_items() if name == "www-authenticate"]
        try:
            answerable = signer.take(challenges)
        except ProtocolError as error:
            raise ProtocolError(f"{where}: the device's challenge cannot be answered: {error}") from error
        if not answerable:
            raise NoChallenge(f"{where}: status 401 without a challenge that can be answered")
        parser = await send(signer.header(request.method, request.path))
        if parser.status == 401:
            raise AuthError(f"{where}: the device refuses the user or the password")
    return Answer(parser.body, parser.status, parser.headers)


def _next_request(
    flow: Generator[httpx.Request, httpx.Response, None], response: httpx.Response, where: str
) -> httpx.Request | None:
    """The request that follows `response`; None where it is the last answer."""
    try:
        return flow.send(response)
    except StopIteration:
        return None
    except (httpx.ProtocolError, KeyError, ValueError, NotImplementedError) as error:
        raise ProtocolError(f"{where}: the device's challenge cannot be answered") from error
