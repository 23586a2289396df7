"""Lines of a serial console: whatever the bytes and however they are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.protocols.lines import MAX_LINE, LineSplitter


def in_pieces(data, cuts, limit=MAX_LINE):
    splitter = LineSplitter(limit)
    lines = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        lines += splitter.feed(data[start:end])
    return lines, splitter.pending


@st.composite
def cut_bytes(draw, content):
    data = draw(content)
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=12))
    return data, sorted(cuts)


def test_both_line_ends_are_one():
    assert LineSplitter().feed(b"one\r\ntwo\nthree\r\r\nfour") == ["one", "two", "three"]


def test_a_line_comes_when_it_has_ended():
    splitter = LineSplitter()
    assert splitter.feed(b"NerdMiner v2 st") == []
    assert splitter.feed(b"arting......\r") == []
    assert splitter.feed(b"\n") == ["NerdMiner v2 starting......"]


def test_empty_lines_and_floods_leave_nothing():
    splitter = LineSplitter()
    assert splitter.feed(b"\r\n\n\r\r\n") == []
    assert splitter.feed(b"\xff" * 100_000 + b"\0" * 100_000) == []
    assert splitter.pending == 0
    assert splitter.feed(b"a\xff\0b\n") == ["ab"]


def test_a_hundred_kilobytes_without_an_end_stay_bounded():
    splitter = LineSplitter()
    lines = []
    for _ in range(100):
        lines += splitter.feed(b"x" * 1024)
        assert splitter.pending <= MAX_LINE
    assert max(map(len, lines)) == MAX_LINE
    assert len("".join(lines)) + splitter.pending == 100 * 1024
    assert splitter.feed(b"\nback\n")[-1] == "back"


def test_bytes_that_are_no_text_are_replaced():
    assert LineSplitter().feed(b"got: \xe8\x1c\xfb?\n") == ["got: �\x1c�?"]
    assert LineSplitter().feed("✅ name\n".encode()) == ["✅ name"]


def test_what_has_not_ended_can_be_forgotten():
    splitter = LineSplitter()
    splitter.feed(b"half a li")
    splitter.clear()
    assert splitter.feed(b"whole\n") == ["whole"]


def test_a_line_has_a_length():
    with pytest.raises(ValueError, match="at least 1"):
        LineSplitter(0)


@settings(deadline=None)
@given(
    cut_bytes(
        st.binary(max_size=400)
        | st.text("ab\r\n\xff✅", max_size=200).map(lambda text: text.encode("latin-1", "replace"))
    )
)
def test_pieces_do_not_matter(case):
    data, cuts = case
    assert in_pieces(data, cuts) == in_pieces(data, [])
    assert in_pieces(data, cuts, 7) == in_pieces(data, [], 7)
    assert in_pieces(data, list(range(len(data))), 7) == in_pieces(data, [], 7)
