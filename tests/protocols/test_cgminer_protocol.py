"""The CGMiner API: framing, STATUS in all its forms, joined replies, the text form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ProtocolError, TooLarge
from exporter.protocols.cgminer import (
    ReplyReader,
    ReplyStatus,
    encode_command,
    parse_text_reply,
    refused,
    reply_status,
    split_joined,
)

# --- requests ---


def test_requests():
    assert encode_command("summary") == b'{"command":"summary"}'
    assert encode_command("summary+pools") == b'{"command":"summary+pools"}'
    assert encode_command("ascset", "0,workmode,set,1") == b'{"command":"ascset","parameter":"0,workmode,set,1"}'
    assert encode_command("ascset", "0,workmode,set,1", text=True) == b"ascset|0,workmode,set,1"
    assert encode_command("version", text=True) == b"version"
    assert json.loads(encode_command("addpool", 'stratum+tcp://x,u"ser,p\\')) == {
        "command": "addpool",
        "parameter": 'stratum+tcp://x,u"ser,p\\',
    }


@pytest.mark.parametrize(("command", "parameter"), [("a|b", None), ("a\n", None), ("a", "b\0"), ("a", "x\r")])
def test_a_command_cannot_smuggle_another_one(command, parameter):
    for text in (False, True):
        with pytest.raises(ValueError, match="not a CGMiner command"):
            encode_command(command, parameter, text=text)


# --- framing ---


def read(pieces, *, end=False):
    reader = ReplyReader(1000)
    for piece in pieces:
        reader.feed(piece)
    if end:
        reader.eof()
    return reader


@given(st.lists(st.binary(max_size=4).map(lambda piece: piece.replace(b"\0", b"")), max_size=6), st.binary(max_size=4))
def test_nul_ends_a_reply_in_any_pieces(pieces, behind):
    body = b"{" + b"".join(pieces)
    stream = body + b"\0" + behind
    whole = ReplyReader()
    assert whole.feed(stream) is True
    single = ReplyReader()
    states = [single.feed(stream[n : n + 1]) for n in range(len(stream))]
    assert states.index(True) == len(body)
    assert whole.body == single.body == body


def test_end_of_connection_ends_a_reply():
    reader = read([b'{"a":', b"1}"])
    assert not reader.complete
    reader.eof()
    assert reader.complete
    assert reader.body == b'{"a":1}'


@pytest.mark.parametrize("pieces", [[], [b""], [b"\0"], [b"\0", b"\0\0"]])
def test_an_empty_reply_is_an_error(pieces):
    reader = read(pieces)
    assert not reader.complete
    with pytest.raises(ProtocolError, match="empty"):
        reader.eof()


@pytest.mark.parametrize(
    ("body", "balanced"),
    [
        (b'{"a":[{"b":"}"}]}', True),
        (b'{"a":[{"b":"}"}]}\r\n', True),
        (b'{"a":[{"b":1}{"c":2}],"id":1}"}', True),
        (b'{"a":"\\"}"}', True),
        (b'{"a":[{"b":"}"}]', False),
        (b'{"a":"}', False),
        (b'{"a":1}{', False),
        (b"STATUS=S,When=1|SUMMARY,Elapsed=4|", True),
        (b"STATUS=S,When=1|SUMMARY,Elap", False),
        (b"", False),
        (b"  ", False),
    ],
)
def test_balance(body, balanced):
    assert read([body]).balanced is balanced
    assert read([body[n : n + 1] for n in range(len(body))]).balanced is balanced


def test_length_is_bounded():
    reader = ReplyReader(10)
    reader.feed(b"x" * 10)
    assert not reader.complete
    with pytest.raises(TooLarge, match="10 bytes"):
        reader.feed(b"y")
    assert ReplyReader(10).feed(b"x" * 10 + b"\0" + b"y" * 100) is True


# --- STATUS ---


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"STATUS": [{"STATUS": "S", "Code": 11, "Msg": "Summary"}]}, ReplyStatus("S", 11, "Summary")),
        ({"STATUS": {"STATUS": "S", "Code": "70", "Msg": "stats"}}, ReplyStatus("S", 70, "stats")),
        ({"STATUS": {"STATUS": "success", "api_version": "1.0"}}, ReplyStatus("S")),
        ({"STATUS": "S", "Code": 131, "Msg": {"power": 3}}, ReplyStatus("S", 131)),
        ({"STATUS": "E", "When": 1, "Code": 14, "Msg": "invalid cmd"}, ReplyStatus("E", 14, "invalid cmd")),
        ({"STATUS": [{"STATUS": "I", "Code": 118, "Msg": "info"}]}, ReplyStatus("I", 118, "info")),
        ({"STATUS": [{"STATUS": "W", "Code": True}]}, ReplyStatus("W")),
        ({"STATUS": [None, {"STATUS": "F"}]}, ReplyStatus("F")),
        ({"STATUS": []}, None),
        ({"STATUS": [{}]}, None),
        ({"STATUS": [{"STATUS": 1}]}, None),
        ({"STATUS": "?"}, None),
        ({"STATUS": None}, None),
        ({"summary": {}}, None),
        ([], None),
        (None, None),
        ("STATUS", None),
    ],
)
def test_status_in_all_its_forms(status, expected):
    assert reply_status(status) == expected


@pytest.mark.parametrize(
    ("letter", "code", "message", "expected"),
    [
        ("E", 14, "Invalid command", True),
        ("E", 0, "Invalid command", True),
        ("E", 45, "Access denied to 'devdetails' command", True),
        ("E", "45", "", True),
        ("E", 23, "Invalid JSON", True),
        ("E", 24, "Missing JSON 'command'", True),
        ("E", None, "permission denied", True),
        ("F", 1, "shutting down", True),
        ("E", 8, "No pools", False),
        ("E", 10, "No PGAs", False),
        ("S", 14, "", False),
        ("W", 45, "Access denied", False),
    ],
)
def test_refusals(letter, code, message, expected):
    assert refused({"STATUS": [{"STATUS": letter, "Code": code, "Msg": message}]}) is expected
    assert refused({"STATUS": letter, "Code": code, "Msg": message}) is expected


def test_an_answer_without_status_is_no_refusal():
    assert not refused({"summary": [{}]})
    assert not refused(None)


# --- joined commands ---

SUMMARY = {"STATUS": [{"STATUS": "S", "Code": 11}], "SUMMARY": [{"Elapsed": 5}], "id": 1}
POOLS = {"STATUS": [{"STATUS": "S", "Code": 7}], "POOLS": [{"POOL": 0}], "id": 1}
DENIED = {"STATUS": [{"STATUS": "E", "Code": 45, "Msg": "Access denied to 'pools' command"}], "id": 1}


def test_joined_replies():
    assert split_joined({"summary": [SUMMARY], "pools": [POOLS], "id": 1}, ["summary", "pools"]) == {
        "summary": SUMMARY,
        "pools": POOLS,
    }
    assert split_joined({"Summary": SUMMARY, "pools": POOLS}, ("summary", "pools")) == {
        "summary": SUMMARY,
        "pools": POOLS,
    }
    assert split_joined(SUMMARY, ["summary"]) == {"summary": SUMMARY}


def test_a_partly_refused_join():
    replies = split_joined({"summary": [SUMMARY], "pools": [DENIED], "id": 1}, ["summary", "pools", "stats"])
    assert set(replies) == {"summary", "pools"}
    assert refused(replies["pools"])
    assert not refused(replies["summary"])


@pytest.mark.parametrize(
    "document",
    [
        DENIED,
        SUMMARY,
        {"summary": [], "pools": [[]], "id": 1},
        {"summary": [{"no": "status"}], "pools": "x"},
        {"summary": [SUMMARY, POOLS]},
        [],
        None,
        "text",
    ],
)
def test_a_join_that_was_not_understood_gives_nothing(document):
    assert split_joined(document, ["summary", "pools"]) == {}


# --- text form ---


def test_text_reply_has_the_shape_of_json():
    body = (
        b"STATUS=S,When=1700000000,Code=7,Msg=2 Pool(s),Description=cgminer 4.9.0"
        b"|POOL=0,URL=stratum+tcp://pool.example.org:3333,User=bc1qexample.rig,Status=Alive"
        b"|POOL=1,URL=,User=,Status=Dead|\0"
    )
    document = parse_text_reply(body)
    assert reply_status(document) == ReplyStatus("S", 7, "2 Pool(s)")
    assert document["POOLS"] == [
        {"POOL": "0", "URL": "stratum+tcp://pool.example.org:3333", "User": "bc1qexample.rig", "Status": "Alive"},
        {"POOL": "1", "URL": "", "User": "", "Status": "Dead"},
    ]


def test_text_reply_with_a_named_section():
    document = parse_text_reply(b"STATUS=S,Code=11|SUMMARY,Elapsed=12350,MHS av=6171606.17,Pool Rejected%=0.5|\n")
    assert document == {
        "STATUS": [{"STATUS": "S", "Code": "11"}],
        "SUMMARY": [{"Elapsed": "12350", "MHS av": "6171606.17", "Pool Rejected%": "0.5"}],
    }


def test_text_reply_with_escapes_and_commas():
    document = parse_text_reply(
        rb"STATUS=S,Msg=a\,b\|c\=d\\|STATS=0,MM ID0=Ver[x] Work: In Work, Hash Board: 2 ,k=v=w|"
    )
    assert document["STATUS"] == [{"STATUS": "S", "Msg": "a,b|c=d\\"}]
    assert document["STATS"] == [{"STATS": "0", "MM ID0": "Ver[x] Work: In Work, Hash Board: 2 ", "k": "v=w"}]


def test_joined_text_reply():
    document = parse_text_reply(
        b"CMD=summary|STATUS=S,Code=11|SUMMARY,Elapsed=4|CMD=pools|STATUS=E,Code=8,Msg=No pools|ASC=0,Name=X|"
    )
    replies = split_joined(document, ["summary", "pools"])
    assert replies["summary"]["SUMMARY"] == [{"Elapsed": "4"}]
    assert reply_status(replies["pools"]) == ReplyStatus("E", 8, "No pools")
    assert replies["pools"]["DEVS"] == [{"ASC": "0", "Name": "X"}]


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"Please reboot miner to make config work.", b'{"STATUS":"S"}', b"<html>"]
)
def test_other_text_is_refused(body):
    with pytest.raises(ValueError, match="STATUS="):
        parse_text_reply(body)


@pytest.mark.parametrize("word", ["RESTART", "BYE"])
def test_the_bare_answer_to_a_restart_has_the_shape_of_the_json_form(word):
    document = parse_text_reply(word.encode() + b"\0")
    assert document == {"STATUS": word}
    assert reply_status(document) is None
    assert not refused(document)


plain = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=8).filter(
    lambda word: word == word.strip()
)


@given(st.dictionaries(plain, plain, min_size=1))
def test_escaped_text_comes_back(record):
    def escaped(word):
        return "".join("\\" + mark if mark in "\\,|=" else mark for mark in word)

    fields = ",".join(f"{escaped(key)}={escaped(value)}" for key, value in record.items())
    document = parse_text_reply(f"STATUS=S,Code=1|DATA,{fields}|".encode())
    assert document["DATA"] == [record]
