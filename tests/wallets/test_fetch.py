"""Requests to pools: bounded, and never led elsewhere."""

import asyncio
import gzip
import threading

import httpx
import pytest

from exporter.wallets import fetch as fetch_module
from exporter.wallets.fetch import MAX_BYTES, PoolError, fetch, new_client
from tests.wallets.pool_server import pool_server, send

PATH = "/users/bc1qsomebody"


def ask(url, path=PATH, client=new_client):
    async def main():
        async with client() as made:
            return await fetch(made, url, path)

    return asyncio.run(main())


def refused(url, client=new_client):
    with pytest.raises(PoolError) as caught:
        ask(url, client=client)
    message = str(caught.value)
    assert "bc1qsomebody" not in message
    return message


def test_an_answer_is_given_as_it_came():
    with pool_server() as pool:
        pool.answers[PATH] = b'{"workers": 1}'
        assert ask(pool.url) == b'{"workers": 1}'
        assert pool.asked == [PATH]
        assert pool.headers[0]["User-Agent"].startswith("flockwatch/")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "does not know the wallet"),
        (429, "less often"),
        (500, "status 500"),
        (403, "status 403"),
        (204, "status 204"),
    ],
)
def test_other_statuses(status, said):
    with pool_server() as pool:
        pool.answers[PATH] = lambda handler: send(handler, b"", status)
        assert said in refused(pool.url)


@pytest.mark.parametrize(
    "location", ["/elsewhere", "http://192.0.2.1/x", "https://192.0.2.1/bc1qsomebody", "//192.0.2.1/"]
)
def test_redirects_of_plain_http_are_not_followed(location):
    with pool_server() as pool:
        pool.answers[PATH] = lambda handler: send(handler, b"", 302, Location=location)
        assert "pools.hosts" in refused(pool.url)
        assert pool.asked == [PATH]


def replying(pages):
    """A client of https servers that exist on paper only: URL -> (status, location or body)."""
    asked = []

    def answer(request):
        asked.append(str(request.url))
        status, content = pages[str(request.url)]
        headers = {"location": content} if status // 100 == 3 else {}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content.encode()))

    return asked, lambda: httpx.AsyncClient(transport=httpx.MockTransport(answer))


def test_redirects_within_a_server_are_followed():
    pages = {
        f"https://pool.example{PATH}": (301, "/v2/users"),
        "https://pool.example/v2/users": (307, "https://pool.example/v3"),
        "https://pool.example/v3": (200, "{}"),
    }
    asked, client = replying(pages)
    assert ask("https://pool.example", client=client) == b"{}"
    assert asked == list(pages)


@pytest.mark.parametrize(
    "location",
    [
        "http://pool.example/",
        "https://other.example/",
        "https://pool.example:8443/",
        "https://pool.example.evil.example/",
    ],
)
def test_redirects_elsewhere_are_not_followed(location):
    asked, client = replying({f"https://pool.example{PATH}": (302, location)})
    assert "not followed" in refused("https://pool.example", client)
    assert len(asked) == 1


def test_redirects_have_an_end():
    asked, client = replying({f"https://pool.example{PATH}": (302, PATH)})
    assert "for ever" in refused("https://pool.example", client)
    assert len(asked) == 4


def test_long_answers_are_cut_off():
    with pool_server() as pool:
        pool.answers[PATH] = b"x" * MAX_BYTES
        assert len(ask(pool.url)) == MAX_BYTES
        pool.answers[PATH] = b"x" * (MAX_BYTES + 1)
        assert str(MAX_BYTES) in refused(pool.url)


def test_a_compressed_answer_is_no_way_around_the_limit():
    with pool_server() as pool:
        pool.answers[PATH] = lambda handler: send(handler, gzip.compress(b"0" * 1000), Content_Encoding="gzip")
        assert "compressed" in refused(pool.url)


def test_a_server_that_says_nothing_is_left(monkeypatch):
    monkeypatch.setattr(fetch_module, "_LONGEST_SECONDS", 0.2)
    done = threading.Event()
    with pool_server() as pool:
        pool.answers[PATH] = lambda handler: done.wait(30)
        try:
            assert "in time" in refused(pool.url)
        finally:
            done.set()


def test_broken_answers_and_nobody_there():
    with pool_server() as pool:

        def half(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            handler.close_connection = True

        def garbage(handler):
            handler.wfile.write(b"\x00\xff garbage\r\n\r\n")
            handler.close_connection = True

        for answer in (half, garbage):
            pool.answers[PATH] = answer
            assert "broke off" in refused(pool.url)
        url = pool.url
    assert "cannot be reached" in refused(url)
