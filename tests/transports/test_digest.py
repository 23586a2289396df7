"""Signed requests against a server that checks the digest by itself (RFC 7616, RFC 2069, RFC 7617)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import urllib.request

import httpx
import pytest

from exporter.drivers.api import HttpRequest
from exporter.errors import AuthError, NoChallenge, ProtocolError, RequestTimeoutError
from exporter.transports.digest import SignedIn, request_signed
from exporter.transports.http import HttpConnections
from tests.transports.servers import run, serving

USER, PASSWORD = "root", "correct horse"
REALM = "antMiner Configuration"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def digest_of(algorithm, text):
    return hashlib.new({"SHA-256": "sha256"}.get(algorithm, "md5"), text.encode()).hexdigest()


class Device:
    """A web server that wants a signature.

    `uses` is how often a nonce may be used before it is stale.
    """

    def __init__(self, *, qop="auth", algorithm=None, uses=1000, basic=False, digest=True, closes="never"):
        self.algorithm = algorithm
        self.basic = basic
        self.closes = closes
        self.digest = digest
        self.nonce = 0
        self.qop = qop
        self.seen_counts = []
        self.uses = uses
        self.used = 0
        self.bodies = []

    def challenge(self, *, stale=False):
        lines = []
        if self.basic:
            lines.append(f'WWW-Authenticate: Basic realm="{REALM}"\r\n')
        if self.digest:
            self.nonce += 1
            self.used = 0
            parts = [f'realm="{REALM}"', f'nonce="n{self.nonce}"', 'opaque="o"']
            if self.qop:
                parts.append(f'qop="{self.qop}"')
            if self.algorithm:
                parts.append(f"algorithm={self.algorithm}")
            if stale:
                parts.append("stale=true")
            lines.append(f"WWW-Authenticate: Digest {', '.join(parts)}\r\n")
        return "".join(lines)

    def verdict(self, method, path, authorization):
        """ "ok", "stale" or "no"."""
        if self.basic and authorization == BASIC:
            return "ok"
        if not self.digest or not authorization.startswith("Digest "):
            return "no"
        given = urllib.request.parse_keqv_list(urllib.request.parse_http_list(authorization[7:]))
        first = digest_of(self.algorithm, f"{USER}:{REALM}:{PASSWORD}")
        if self.algorithm == "MD5-sess":
            first = digest_of(self.algorithm, f"{first}:{given['nonce']}:{given['cnonce']}")
        second = digest_of(self.algorithm, f"{method}:{path}")
        middle = f"{given['nc']}:{given['cnonce']}:{given['qop']}:" if self.qop else ""
        expected = digest_of(self.algorithm, f"{first}:{given['nonce']}:{middle}{second}")
        if given["uri"] != path or given["response"] != expected or given["username"] != USER:
            return "no"
        self.used += 1
        if given["nonce"] != f"n{self.nonce}" or self.used > self.uses:
            return "stale"
        if self.qop:
            self.seen_counts.append((given["nonce"], int(given["nc"], 16)))
        return "ok"

    async def talk(self, client):
        while True:
            method, path, headers, body = await client.request()
            authorization = headers.get("authorization", "")
            verdict = self.verdict(method, path, authorization)
            if verdict == "ok":
                self.bodies.append(body)
                await client.answer(path.encode())
                continue
            if self.closes == "silently" and not authorization:
                return
            head = f"HTTP/1.1 401 Unauthorized\r\n{self.challenge(stale=verdict == 'stale')}"
            if self.closes == "before the body":
                await client.send(f"{head}Content-Length: 350\r\n\r\n".encode())
                return
            if self.closes == "behind the head":
                await client.send(f"{head}\r\n".encode())
                return
            await client.send(f"{head}Content-Length: 2\r\n\r\nno".encode())


def check(device, test):
    async def main():
        http = HttpConnections()
        try:
            async with serving(device.talk) as server:
                await test(server, http)
        finally:
            await http.close()

    run(main)


async def ask(http, server, auth, path="/cgi-bin/stats.cgi", **options):
    return await request_signed(http, "127.0.0.1", server.port, HttpRequest(path, **options), auth, timeout=5.0)


DEVICES = {
    "stock": {},
    "RFC 2069": {"qop": None},
    "MD5 named": {"algorithm": "MD5"},
    "MD5-sess": {"algorithm": "MD5-sess"},
    "SHA-256": {"algorithm": "SHA-256"},
    "auth and auth-int": {"qop": "auth,auth-int"},
    "basic only": {"basic": True, "digest": False},
    "both": {"basic": True},
}


@pytest.mark.parametrize("options", DEVICES.values(), ids=DEVICES)
def test_a_steady_poll_costs_one_request(options):
    device = Device(**options)
    auth = SignedIn(USER, PASSWORD)

    async def test(server, http):
        for n in range(4):
            answer = await ask(http, server, auth, f"/cgi-bin/stats.cgi?n={n}")
            assert (answer.status, answer.body) == (200, f"/cgi-bin/stats.cgi?n={n}".encode())
        assert len(server.requests) == 5
        assert server.connections == 1

    check(device, test)
    if device.seen_counts:
        assert device.seen_counts == [("n1", count) for count in (1, 2, 3, 4)]


def test_plain_httpx_digest_works_too():
    auth = httpx.DigestAuth(USER, PASSWORD)

    async def test(server, http):
        for _ in range(2):
            assert (await ask(http, server, auth)).status == 200
        assert len(server.requests) == 3

    check(Device(), test)


def test_a_stale_nonce_costs_one_more_request():
    device = Device(uses=2)
    auth = SignedIn(USER, PASSWORD)

    async def test(server, http):
        for _ in range(6):
            assert (await ask(http, server, auth)).status == 200
        assert len(server.requests) == 6 + 3

    check(device, test)
    assert device.seen_counts == [(f"n{nonce}", count) for nonce in (1, 2, 3) for count in (1, 2)]


@pytest.mark.parametrize("closes", ["before the body", "behind the head"])
def test_a_challenge_whose_connection_is_closed(closes):
    auth = SignedIn(USER, PASSWORD)

    async def test(server, http):
        for _ in range(3):
            assert (await ask(http, server, auth)).status == 200
        assert len(server.requests) == 4
        assert server.connections == 2

    check(Device(closes=closes), test)


def test_a_device_that_closes_without_a_word_is_asked_once_more():
    async def test(server, http):
        with pytest.raises(ProtocolError):
            await ask(http, server, SignedIn(USER, PASSWORD))
        assert len(server.requests) == 2

    check(Device(closes="silently"), test)


def test_a_command_is_not_repeated_when_the_device_closes():
    async def test(server, http):
        with pytest.raises(ProtocolError):
            await ask(http, server, SignedIn(USER, PASSWORD), "/cgi-bin/reboot.cgi", method="POST", body=b"{}")
        assert server.requests == [("POST", "/cgi-bin/reboot.cgi")]

    check(Device(closes="silently"), test)


@pytest.mark.parametrize("options", DEVICES.values(), ids=DEVICES)
def test_a_wrong_password_is_tried_once(options):
    async def test(server, http):
        with pytest.raises(AuthError, match=rf"127\.0\.0\.1:{server.port}: GET /cgi-bin/stats\.cgi: ") as caught:
            await ask(http, server, SignedIn(USER, "battery staple"))
        assert "battery" not in str(caught.value)
        assert len(server.requests) == 2

    check(Device(**options), test)


def test_a_password_changed_on_the_device():
    device = Device()
    auth = SignedIn(USER, PASSWORD)

    async def test(server, http):
        await ask(http, server, auth)
        device.verdict = lambda *_: "no"
        before = len(server.requests)
        with pytest.raises(AuthError):
            await ask(http, server, auth)
        assert len(server.requests) - before == 2

    check(device, test)


def test_a_device_that_changes_its_scheme():
    device = Device(basic=True, digest=False)
    auth = SignedIn(USER, PASSWORD)

    async def test(server, http):
        await ask(http, server, auth)
        device.basic, device.digest = False, True
        assert (await ask(http, server, auth)).status == 200
        assert (await ask(http, server, auth)).status == 200
        device.basic, device.digest = True, False
        assert (await ask(http, server, auth)).status == 200
        assert len(server.requests) == 2 + 2 + 1 + 2

    check(device, test)


def test_a_signed_command_carries_its_body():
    device = Device()

    async def test(server, http):
        auth = SignedIn(USER, PASSWORD)
        await ask(http, server, auth, "/cgi-bin/blink.cgi", method="POST", body=b'{"blink":true}')
        await ask(http, server, auth, "/cgi-bin/blink.cgi", method="POST", body=b'{"blink":false}')

    check(device, test)
    assert device.bodies == [b'{"blink":true}', b'{"blink":false}']


@pytest.mark.parametrize(
    "challenge",
    ["", 'Bearer realm="x"', "NTLM", "Digest"],
)
def test_a_401_that_cannot_be_answered_is_a_matter_of_credentials(challenge):
    async def talk(client):
        await client.request()
        await client.answer(b"", "401 Unauthorized", f"WWW-Authenticate: {challenge}\r\n" if challenge else "")

    async def test(server, http):
        with pytest.raises(NoChallenge):
            await ask(http, server, SignedIn(USER, PASSWORD))
        assert len(server.requests) == 1

    device = Device()
    device.talk = talk
    check(device, test)


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="x"',
        "Digest nonsense",
        'Digest realm="x", nonce="y", algorithm=ROT13',
        'Digest realm="x", nonce="y", qop="auth-int"',
        'Digest realm="x", nonce="y", qop="other"',
    ],
)
def test_a_broken_challenge_is_a_protocol_error(challenge):
    async def talk(client):
        while True:
            await client.request()
            await client.answer(b"", "401 Unauthorized", f"WWW-Authenticate: {challenge}\r\n")

    async def test(server, http):
        with pytest.raises(ProtocolError, match="challenge"):
            await ask(http, server, SignedIn(USER, PASSWORD))

    device = Device()
    device.talk = talk
    check(device, test)


def test_other_errors_pass():
    async def talk(client):
        await client.request()
        await client.closed()

    async def main():
        async with serving(talk) as server:
            http = HttpConnections()
            with pytest.raises(RequestTimeoutError):
                await request_signed(
                    http, "127.0.0.1", server.port, HttpRequest("/"), SignedIn(USER, PASSWORD), timeout=0.02
                )
            await http.close()

    run(main)


def test_secrets_do_not_show():
    assert PASSWORD not in repr(SignedIn(USER, PASSWORD))


def test_two_devices_keep_their_own_state():
    async def main():
        http = HttpConnections()
        first, second = Device(), Device(qop=None)
        async with serving(first.talk) as one, serving(second.talk) as two:
            signed = [(server, SignedIn(USER, PASSWORD)) for server in (one, two)]
            for _ in range(3):
                answers = await asyncio.gather(*(ask(http, server, auth) for server, auth in signed))
                assert [answer.status for answer in answers] == [200, 200]
            assert (len(one.requests), len(two.requests)) == (4, 4)
            await http.close()

    run(main)
