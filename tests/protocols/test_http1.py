"""HTTP/1.1: requests, answers in any pieces, and everything that is wrong with answers."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import MinerError, ProtocolError, TooLarge
from exporter.protocols import http1
from exporter.protocols.http1 import ResponseParser, encode_request, host_header

# --- requests ---


def test_a_request_is_what_another_implementation_understands():
    payload = encode_request(
        "POST",
        "/api/v1/settings?a=b",
        "192.0.2.7:8080",
        headers=[("X-Api-Key", "k" * 32), ("Content-Type", "application/json")],
        body=b'{"a":1}',
        keep_alive=False,
    )
    server = h11.Connection(h11.SERVER)
    server.receive_data(payload)
    request = server.next_event()
    assert (request.method, request.target) == (b"POST", b"/api/v1/settings?a=b")
    assert dict(request.headers) == {
        b"host": b"192.0.2.7:8080",
        b"accept-encoding": b"identity",
        b"x-api-key": b"k" * 32,
        b"content-type": b"application/json",
        b"connection": b"close",
        b"content-length": b"7",
    }
    assert server.next_event().data == b'{"a":1}'
    assert isinstance(server.next_event(), h11.EndOfMessage)


def test_a_request_without_body():
    assert encode_request("GET", "/", "192.0.2.7") == (
        b"GET / HTTP/1.1\r\nHost: 192.0.2.7\r\nAccept-Encoding: identity\r\n\r\n"
    )
    assert b"\r\nContent-Length: 0\r\n\r\n" in encode_request("POST", "/mining/stop", "192.0.2.7")


def test_host_header():
    assert host_header("192.0.2.7", 80) == "192.0.2.7"
    assert host_header("192.0.2.7", 4028) == "192.0.2.7:4028"
    assert host_header("2001:db8::7", 80) == "[2001:db8::7]"
    assert host_header("2001:db8::7", 81) == "[2001:db8::7]:81"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "no-slash", ()),
        ("GET", "/a b", ()),
        ("GET", "/a\r\nX: y", ()),
        ("GET", "/ü", ()),
        ("GET /", "/", ()),
        ("GET", "/", [("X", "a\r\nY: b")]),
        ("GET", "/", [("X", "€")]),
        ("GET", "/", [("X Y", "a")]),
        ("GET", "/", [("", "a")]),
    ],
)
def test_a_request_cannot_be_broken_apart(method, path, headers):
    with pytest.raises(ProtocolError, match="cannot send"):
        encode_request(method, path, "192.0.2.7", headers=headers)


# --- answers ---


def parse(stream, *, method="GET", eof=False, max_body=1000, piece=None):
    parser = ResponseParser(method, max_body)
    step = piece or max(1, len(stream))
    for start in range(0, len(stream), step):
        parser.feed(stream[start : start + step])
    if eof:
        parser.eof()
    return parser


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# name -> (bytes, method, end of connection, status, body, keep alive)
ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "GET", False, 200, b"hello", True),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", False, 200, b"", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "GET", False, 200, b"x", True),
    "not found": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "GET", False, 404, b"no", True),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", "GET", False, 200, b"x", False),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "GET", False, 200, b"x", False),
    "1.0 keep-alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        "GET",
        False,
        200,
        b"x",
        True,
    ),
    "to the end": (b"HTTP/1.1 200 OK\r\n\r\n{}\r\n\r\n", "GET", True, 200, b"{}\r\n\r\n", False),
    "to the end, nothing": (b"HTTP/1.0 200 OK\r\n\r\n", "GET", True, 200, b"", False),
    "head": (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "HEAD", False, 200, b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "GET", False, 204, b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "GET", False, 304, b"", True),
    "chunked": (
        CHUNKED + b"5\r\nhello\r\n00A ;x=y\r\n, world!!!\r\n0\r\n\r\n",
        "GET",
        False,
        200,
        b"hello, world!!!",
        True,
    ),
    "chunked with trailers": (CHUNKED + b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", "GET", False, 200, b"x", True),
    "chunked and length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "GET",
        False,
        200,
        b"x",
        False,
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 201 OK\r\nContent-Length: 1\r\n\r\nx",
        "POST",
        False,
        201,
        b"x",
        True,
    ),
    "line feeds only": (b"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\n", "GET", False, 200, b"\r\n\r\n", True),
    "line break first": (b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "GET", False, 200, b"x", True),
    "same length twice": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "GET",
        False,
        200,
        b"x",
        True,
    ),
    "identity": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
        "GET",
        False,
        200,
        b"x",
        True,
    ),
    "401 cut before its body": (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="r"\r\nContent-Length: 9\r\n\r\nUn',
        "GET",
        True,
        401,
        b"",
        False,
    ),
    "401 chunked, cut": (
        b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "GET",
        True,
        401,
        b"",
        False,
    ),
}


@pytest.mark.parametrize("piece", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(("stream", "method", "eof", "status", "body", "keep_alive"), ANSWERS.values(), ids=ANSWERS)
def test_answers_in_any_pieces(stream, method, eof, status, body, keep_alive, piece):
    parser = parse(stream, method=method, eof=eof, piece=piece)
    assert parser.complete
    assert (parser.status, parser.body, parser.keep_alive) == (status, body, keep_alive)


@pytest.mark.parametrize(("stream", "method", "eof"), [answer[:3] for answer in ANSWERS.values()], ids=ANSWERS)
def test_a_cut_answer_is_never_taken_for_whole(stream, method, eof):
    whole = parse(stream, method=method, eof=eof)
    for cut in range(len(stream)):
        parser = parse(stream[:cut], method=method)
        assert not parser.complete
        if whole.status != 401 and not (eof and parser.status):
            with pytest.raises(ProtocolError, match="closed"):
                parser.eof()


@pytest.mark.parametrize("name", ["length", "empty", "chunked", "chunked with trailers", "head", "no content"])
def test_junk_behind_the_answer_costs_the_connection_only(name):
    stream, method, _, status, body, _ = ANSWERS[name]
    together = parse(stream + b"HTTP/1.1 200 OK\r\n\r\n", method=method)
    assert (together.complete, together.status, together.body, together.keep_alive) == (True, status, body, False)
    later = parse(stream, method=method)
    assert later.keep_alive
    assert later.feed(b"junk") is True
    assert (later.body, later.keep_alive) == (body, False)


def test_headers():
    parser = parse(
        b"HTTP/1.1 200 OK\r\nServer:  lighttpd/1.4 \r\nSet-Cookie: a=1\r\nX-Long: one\r\n  two\r\nset-cookie: b=2\r\n"
        b"X-Empty:\r\nX-Colon: a:b\r\nX-Latin: \xe9\r\nContent-Length: 0\r\n\r\n"
    )
    assert parser.headers == {
        "server": "lighttpd/1.4",
        "set-cookie": "a=1, b=2",
        "x-long": "one two",
        "x-empty": "",
        "x-colon": "a:b",
        "x-latin": "é",
        "content-length": "0",
    }
    assert [value for name, value in parser.header_items() if name == "set-cookie"] == ["a=1", "b=2"]


def test_challenges_stay_readable():
    parser = parse(
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="b"\r\n'
        b'WWW-Authenticate: Digest realm="antMiner Configuration", nonce="n", qop="auth"\r\nContent-Length: 0\r\n\r\n'
    )
    assert parser.headers["www-authenticate"] == (
        'Digest realm="antMiner Configuration", nonce="n", qop="auth", Basic realm="b"'
    )
    assert [value for _, value in parser.header_items()[:2]] == [
        'Basic realm="b"',
        'Digest realm="antMiner Configuration", nonce="n", qop="auth"',
    ]


BROKEN = {
    "html": b"<html>",
    "cgminer": b'{"STATUS"',
    "binary": b"\x00\x01\x02",
    "other protocol": b"HTTP/2.0 200 OK\r\n\r\n",
    "streaming radio": b"ICY 200 OK\r\n\r\n",
    "short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "status 999": b"HTTP/1.1 999 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "status glued": b"HTTP/1.1 2000 OK\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n",
    "no name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "blank in name": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
    "folded first line": b"HTTP/1.1 200 OK\r\n Content-Length: 1\r\n\r\n",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "text length": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "chunk without size": CHUNKED + b"\r\n\r\n",
    "chunk size no number": CHUNKED + b"zz\r\n",
    "chunk size negative": CHUNKED + b"-1\r\n",
    "chunk longer than its size": CHUNKED + b"1\r\nxy\r\n",
    "endless chunk line": CHUNKED + b"1;" + b"x" * 10_000,
    "unasked upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "unknown content encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
}


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_what_is_no_http_answer_is_refused(stream, piece):
    with pytest.raises(ProtocolError):
        parse(stream, piece=piece)


def test_nothing_at_all():
    parser = ResponseParser()
    assert not parser.started
    with pytest.raises(ProtocolError, match="without an answer"):
        parser.eof()


@pytest.mark.parametrize("piece", [None, 1000])
@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        CHUNKED + b"3E9\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFF\r\n",
        CHUNKED + (b"64\r\n" + b"x" * 100 + b"\r\n") * 11,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000,
    ],
    ids=[
        "length",
        "huge length",
        "to the end",
        "chunk",
        "huge chunk",
        "chunks",
        "headers",
        "header",
        "1xx",
        "trailers",
    ],
)
def test_everything_is_bounded(stream, piece):
    with pytest.raises(TooLarge):
        parse(stream, piece=piece)


def test_the_bound_itself_is_allowed():
    assert parse(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000).body == b"x" * 1000
    assert parse(CHUNKED + b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n").body == b"x" * 1000
    padding = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "
    fill = b"y" * (http1.MAX_HEAD_BYTES - len(padding) - 4)
    assert parse(padding + fill + b"\r\n\r\n").complete


# --- compressed bodies ---


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("X-Gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
def test_a_body_compressed_unasked_is_decoded(coding, pack):
    packed = pack(b"<html>" * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(packed))
    assert parse(head + packed).body == b"<html>" * 100
    assert parse(head + packed, method="HEAD").body == b""


def test_a_compressed_body_is_bounded_and_checked():
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    bomb = gzip.compress(b"0" * 900_000)
    assert len(bomb) < 1000
    with pytest.raises(TooLarge):
        parse(head + bomb, eof=True)
    packed = gzip.compress(b"<html>" * 100)
    with pytest.raises(ProtocolError, match="cut"):
        parse(head + packed[:-9], eof=True)
    with pytest.raises(ProtocolError, match="damaged"):
        parse(head + b"plain text", eof=True)


# --- properties ---

tokens = st.text("abcXYZ-09", min_size=1, max_size=8)
values = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12).map(str.strip)


@given(
    body=st.binary(max_size=300),
    framing=st.sampled_from(["length", "chunked", "close"]),
    status=st.sampled_from([200, 201, 301, 404, 500]),
    headers=st.dictionaries(tokens.map(lambda name: "X-" + name.lower()), values, max_size=4),
    cuts=st.lists(st.integers(0, 600), max_size=8),
    chunks=st.lists(st.integers(1, 50), min_size=1, max_size=4),
)
def test_the_answer_of_another_implementation_is_read_in_any_pieces(body, framing, status, headers, cuts, chunks):
    server = h11.Connection(h11.SERVER)
    server.receive_data(encode_request("GET", "/", "192.0.2.7"))
    server.next_event()
    items = list(headers.items())
    if framing == "length":
        items.append(("Content-Length", str(len(body))))
    elif framing == "chunked":
        items.append(("Transfer-Encoding", "chunked"))
    else:
        items.append(("Connection", "close"))
    stream = server.send(h11.Response(status_code=status, headers=items))
    position = turn = 0
    while position < len(body):
        size = chunks[turn % len(chunks)]
        stream += server.send(h11.Data(data=body[position : position + size]))
        position += size
        turn += 1
    stream += server.send(h11.EndOfMessage())
    parser = ResponseParser()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in pairwise(edges):
        parser.feed(stream[start:end])
    # h11 closes behind an answer without a length, and so frames it by the end of the connection.
    if not parser.complete:
        parser.eof()
    assert (parser.status, parser.body) == (status, body)
    for name, value in headers.items():
        assert parser.headers[name.lower()] == value


def outcome(pieces, eof):
    parser = ResponseParser(max_body=100)
    try:
        for piece in pieces:
            parser.feed(piece)
        if eof:
            parser.eof()
    except MinerError as error:
        return type(error)
    return parser.complete, parser.status, parser.headers, parser.body, parser.keep_alive


FRAGMENTS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"xyz",
    b" ",
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=8), st.booleans())
def test_pieces_never_matter(fragments, eof):
    stream = b"HTTP/1.1 200 OK\r\n" + b"".join(fragments)
    whole = outcome([stream], eof)
    assert outcome([stream[n : n + 1] for n in range(len(stream))], eof) == whole
    assert outcome([b"", stream[:20], b"", stream[20:], b""], eof) == whole
