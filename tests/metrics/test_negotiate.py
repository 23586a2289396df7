"""Formats, encodings and pieces."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from exporter.metrics.negotiate import coalesced, gzipped, new_packer, wants_gzip, wants_openmetrics

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/plain", False),
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("application/openmetrics-text", True),
        ('Application/OpenMetrics-Text; version="1.0.0"', True),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text; version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0,text/plain", False),
        ("application/openmetrics-text;q=0.4,text/plain;version=0.0.4;q=0.5", False),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.5", True),
        ("application/openmetrics-text;q=0.3,*/*;q=0.9", False),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.2,*/*;q=0.9", True),
        ("application/openmetrics-text;q=nonsense", False),
        ("application/openmetrics-text;q=7", False),
        (",;,=;q", False),
    ],
)
def test_openmetrics_when_offered_and_preferred(accept, expected):
    assert wants_openmetrics(accept) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("identity", False),
        ("*", False),
        ("br, deflate", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, identity", False),
        ("gzipped", False),
    ],
)
def test_gzip_when_asked_for(accept, expected):
    assert wants_gzip(accept) is expected


@pytest.mark.parametrize("packer", [zlib.compressobj(1, zlib.DEFLATED, 31), None], ids=["zlib", "fastest"])
def test_packed_pieces_are_one_gzip_document(packer):
    pieces = [b"a" * 100_000, b"", b"b", bytes(range(256)) * 500]
    assert gzip.decompress(b"".join(gzipped(pieces, packer))) == b"".join(pieces)


def test_packing_is_lazy():
    def pieces():
        yield random.Random(1).randbytes(1_000_000)
        raise AssertionError("asked for too early")

    packed = gzipped(pieces(), new_packer())
    assert next(packed).startswith(b"\x1f\x8b")


def test_small_pieces_are_joined_and_large_ones_pass():
    large = b"L" * 50
    joined = list(coalesced([b"a", b"b", large, b"", b"c", b"d" * 7, b"e"], 8))
    assert joined == [b"ab", large, b"cddddddd", b"e"]
    assert joined[1] is large
    assert list(coalesced([])) == []
    assert list(coalesced([b"", b""])) in ([], [b""])
