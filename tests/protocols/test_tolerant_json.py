"""JSON as firmwares send it: what is repaired, what is refused, and that no repair ever changes a value."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.protocols import tolerant_json
from exporter.protocols.tolerant_json import parse_json

REPAIRS = {
    "NUL at the end": (b'{"a":1}\0', {"a": 1}),
    "garbage behind the NUL": (b'{"a":1}\0\0\xff{"b', {"a": 1}),
    "NUL at the start": (b'\0{"a":1}', {"a": 1}),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
    "missing comma between objects": (b'{"STATS":[{"x":1}{"y":2} {"z":3}]}', {"STATS": [{"x": 1}, {"y": 2}, {"z": 3}]}),
    "many missing commas": (b"[" + b'{"x":"}{"}' * 20 + b"]", [{"x": "}{"}] * 20),
    "missing comma between a text and a key": (b'{"a":"x""temp0":61,"b":2}', {"a": "x", "temp0": 61, "b": 2}),
    "comma before an object": (b'{"a":[,{"b":1}]}', {"a": [{"b": 1}]}),
    "comma before a bracket": (b'{"a":[1,2,],"b":{"c":3, },}', {"a": [1, 2], "b": {"c": 3}}),
    "bare nan": (b'{"MHS av":nan,"b":-nan,"c":[NaN, inf,-Infinity]}', {"MHS av": None, "b": None, "c": [None] * 3}),
    "escaped apostrophe": (rb'{"v":"\'2020.REL\'"}', {"v": "'2020.REL'"}),
    "backslash that escapes nothing": (rb'{"ssid":"a\wifi\\\"x\u0041"}', {"ssid": 'a\\wifi\\"xA'}),
    "line break in a text": (b'{"a":"one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}),
    "quote and brace behind the end": (b'{"a":[{"b":1}],"id":1}"}', {"a": [{"b": 1}], "id": 1}),
    "quote behind the end": (b'{"a":1}"\n', {"a": 1}),
    "callback": (b'infoCallback({"mac":"x", "status":"1", });\n', {"mac": "x", "status": "1"}),
    "two callbacks": (b'aCallback({"x":"1", }); pageCallback({"page":"p"});', {"x": "1"}),
    "callback without its end": (b'cb ({"a":1}', {"a": 1}),
    "only the end of an answer": (b',"id":1}', {"id": 1}),
    "object written as a list": (b'{"error_code":["541":"2023","542":7]}', {"error_code": {"541": "2023", "542": 7}}),
    "Latin-1": (b'{"t":"13\xb0C / 55\xb0F"}', {"t": "13\ufffdC / 55\ufffdF"}),
    "GBK with a backslash as second byte": ("{'n':'誠','m':1}".replace("'", '"').encode("gbk"), {"n": "誠", "m": 1}),
}

#: Text that looks like damage must survive inside strings, whatever else is repaired around it.
TEXTS = ["}{", ",}", "nan", "inf", "[,{", '""temp0":', "cb(", "},{", ',"id":1', "\\'", "\0", '"}', "a\\", '["k":1]']


@pytest.fixture(params=["standard library", "orjson"])
def engine(request, monkeypatch):
    """Both parsers must do the same."""
    fast = None if request.param == "standard library" else pytest.importorskip("orjson").loads
    monkeypatch.setattr(tolerant_json, "_fast_loads", fast)
    return request.param


@pytest.mark.parametrize(("body", "value"), REPAIRS.values(), ids=REPAIRS)
def test_known_damage_is_repaired(engine, body, value):
    assert parse_json(body) == value


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_never_changed_by_a_repair_around_it(engine, text):
    quoted = json.dumps(text)
    damaged = f'{{"a":[{{"t":{quoted},{quoted}:nan}}{{"u":{quoted}, }}]}}"}}\0'
    assert parse_json(damaged.encode()) == {"a": [{"t": text, text: None}, {"u": text}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"   ",
        b"<html><body>404</body></html>",
        b"Socket connect failed: Connection refused\n",
        b"{",
        b'{"a":1',
        b'{"a":"x}',
        b'{"a":"x\\',
        b'{"a":1}}',
        b'{"a":1}]}',
        b'{"a":1}{"b":2}',
        b'{"a":{"b":1}{"c":2}}',
        b"[1" + b"0" * 5000 + b"]",
        b'{"a":1} error',
        b'{"x":1}],"id":1}',
        b',"Rejected":5}',
        b',"id":1',
        b'{"a" 1}',
        b'{"a":1 2}',
        b'{"a":[1 2]}',
        b'{"a":["x""y"]}',
        b'{"user":"a"b"}',
        b'{"a":nano}',
        b'{"a":1nan}',
        b'{"a":12\n34}',
        b"// comment\n{}",
        b"{'a':1}",
        b"nan,",
        b'{"a":0x10}',
        b'{"a":1,,"b":2}',
        b'["k":[1]]',
    ],
)
def test_what_is_no_json_is_refused(engine, body):
    with pytest.raises(ValueError, match="no JSON"):
        parse_json(body)


def test_strict_values(engine):
    assert parse_json(b' {"a":[1,-2.5e3,true,false,null,"\\u00e9\\ud83d\\ude00"]} ') == {
        "a": [1, -2500.0, True, False, None, "é😀"]
    }
    assert parse_json(b'{"best":18446744073709551615}') == {"best": 2**64 - 1}
    assert parse_json(b'{"a":1,"a":2}') == {"a": 2}
    assert parse_json(b'{"lone":"\\ud800"}') == {"lone": "\ud800"}
    assert parse_json(b"NaN") is None


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[,{", b'cb([{"x":'])
def test_deep_nesting_is_an_error_of_the_document(engine, opening):
    with pytest.raises(ValueError, match="no JSON"):
        parse_json(opening * 200_000)
    with pytest.raises(ValueError, match="deep"):
        parse_json(b"[" * 100_000 + b"]" * 100_000)


def test_size_is_bounded(monkeypatch):
    monkeypatch.setattr(tolerant_json, "MAX_BYTES", 10)
    assert parse_json(b'{"abc":10}') == {"abc": 10}
    with pytest.raises(ValueError, match="11 bytes"):
        parse_json(b'{"abc":100}')


@pytest.mark.parametrize("pattern", [b'"\\"', b"[", b'"a"', b",", b"{ ", b'["a":"b",', b"nan ", b"}", b"\\", b"a("])
@pytest.mark.timeout(20)
def test_hostile_repetition_ends_soon(pattern):
    with pytest.raises(ValueError, match="no JSON"):
        parse_json(b"[1," + pattern * (300_000 // len(pattern)))


# --- properties ---------------------------------------------------------------------------------------------------

numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text() | st.sampled_from(TEXTS)
keys = st.text(max_size=8) | st.sampled_from(TEXTS)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=30,
)
containers = documents.filter(lambda value: isinstance(value, (dict, list)))


@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_valid_documents_come_back_unchanged(document, ascii_only, indent):
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    assert parse_json(body) == document


@given(containers)
def test_repair_leaves_valid_documents_unchanged(document):
    """The repairs themselves, without the strict attempt before them."""
    assert tolerant_json._repair(json.dumps(document)) == document


@given(containers, st.data())
@example([{"a": 1}], None)
def test_a_cut_document_is_never_taken_for_a_shorter_one(document, data):
    body = json.dumps(document).encode()
    cuts = range(len(body)) if data is None else [data.draw(st.integers(0, len(body) - 1))]
    for cut in cuts:
        with pytest.raises(ValueError, match="no JSON"):
            parse_json(body[:cut])
        with pytest.raises(ValueError, match="no JSON"):
            parse_json(body[:cut] + b"\0")


@given(st.lists(st.dictionaries(keys, scalars, max_size=4), min_size=2, max_size=5))
def test_missing_commas_between_objects_give_the_original(records):
    body = "[" + "".join(json.dumps(record) for record in records) + "]"
    assert parse_json(body.encode() + b"\0") == records


def same(left, right):
    """Equality in which True is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@given(st.dictionaries(st.text(max_size=6), numbers | st.text(max_size=6), min_size=1), st.data())
@settings(max_examples=200)
def test_both_engines_agree_on_damaged_bytes(document, data):
    orjson = pytest.importorskip("orjson")
    body = bytearray(json.dumps({"records": [document, document]}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(body) - 1))
        body[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"nan", b"}{", b'"', b",", b"\\'", b"\0"])
        )

    def outcome(fast):
        tolerant_json._fast_loads = fast
        try:
            return json.dumps(parse_json(bytes(body)), sort_keys=True)
        except ValueError:
            return "refused"
        finally:
            tolerant_json._fast_loads = before

    before = tolerant_json._fast_loads
    assert outcome(None) == outcome(orjson.loads)


# --- captured answers ---------------------------------------------------------------------------------------------


def payloads():
    configured = os.environ.get("FLOCKWATCH_SHARED")
    folder = (Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared") / "payloads"
    if not folder.is_dir():
        pytest.skip(f"captured answers are not there: {folder}")
    return folder


ANSWERS = ("rpc_", "http_", "gql_", "udp", "privileged_")


def holds_json(path):
    """Whether `path` is a whole answer that is meant to be JSON (``.txt``: not valid as it was sent)."""
    return path.suffix in (".json", ".txt") and path.name.startswith(ANSWERS) and "_truncated" not in path.name


def test_captured_answers_parse():
    """All answers are valid but thirteen; one of those was captured with a browser's comment lines and is no JSON."""
    outcomes: Counter[str] = Counter()
    for path in sorted(payloads().rglob("*")):
        if not holds_json(path):
            continue
        body = path.read_bytes()
        try:
            strict = json.loads(body)
        except ValueError:
            try:
                repaired = parse_json(body)
            except ValueError:
                assert body.startswith(b"//"), path
                outcomes["no JSON"] += 1
            else:
                assert isinstance(repaired, dict), path
                assert len(repaired) >= 2, path
                outcomes["repaired"] += 1
        else:
            assert same(parse_json(body), strict), path
            outcomes["strict"] += 1
    assert outcomes == {"strict": 385, "repaired": 12, "no JSON": 1}


def test_captured_web_pages_and_cut_answers_are_refused():
    refused = 0
    for path in sorted(payloads().rglob("*")):
        if path.suffix == ".html" or ("_truncated" in path.name and path.suffix == ".txt"):
            with pytest.raises(ValueError, match="no JSON"):
                parse_json(path.read_bytes())
            refused += 1
    assert refused >= 7


def test_every_cut_of_captured_answers_is_refused():
    tried = 0
    for path in sorted(payloads().rglob("rpc_*")):
        body = path.read_bytes().strip()
        if not holds_json(path) or len(body) > 6000:
            continue
        try:
            whole = parse_json(body)
        except ValueError:
            continue
        for cut in range(1, len(body), max(1, len(body) // 40)):
            try:
                part = parse_json(body[:cut])
            except ValueError:
                tried += 1
            else:
                # Only a stray quote or brace behind the end may be missing.
                assert part == whole, (path, cut)
    assert tried > 1000


def test_no_infinity_from_a_bare_word(engine):
    value = parse_json(b'{"a":Infinity,"b":[-Infinity]}')
    assert value == {"a": None, "b": [None]}
    assert not any(isinstance(item, float) and math.isinf(item) for item in value.values())
