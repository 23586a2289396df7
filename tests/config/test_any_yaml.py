"""Whatever the file holds, it is either settings or a ConfigError with a place."""

import re
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config import Settings
from exporter.config_build import build_settings
from exporter.errors import ConfigError

_TEXT = (
    "database path network subnets cidr labels ports http cgminer timeout_ms offline_after miners address port driver"
    " name serial enabled open match udp nmminer_port intervals status_seconds addr metrics collectors chips drivers"
    " pools prometheus url auto 10.0.0.0/24 10.0.0.1 true false null ~ 0 1 -1 1.5 1e3 :9877 [::1]:80 303a:1001 <<"
)
_WORDS = st.sampled_from(_TEXT.split())
_SCALARS = _WORDS | st.text(alphabet=string.printable, max_size=8) | st.integers().map(str)
_TREES = st.recursive(
    _SCALARS,
    lambda children: st.lists(children, max_size=4) | st.lists(st.tuples(_SCALARS, children), max_size=4).map(tuple),
    max_leaves=25,
)


def _flow(tree):
    """YAML flow text of a tree; scalars go in as they are, so that many documents are not even YAML."""
    if isinstance(tree, list):
        return "[" + ", ".join(_flow(item) for item in tree) + "]"
    if isinstance(tree, tuple):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in tree) + "}"
    return tree


def _check(text, environ=None):
    try:
        settings = build_settings(text, "targets.yml", environ or {})
    except ConfigError as error:
        lines = str(error).split("\n")
        assert lines == sorted(set(lines), key=lines.index)
        for line in lines:
            assert re.match(r"(targets\.yml(:\d+)?|FLOCKWATCH_\w+): .", line), line
    else:
        assert isinstance(settings, Settings)


@settings(deadline=None)
@given(st.text())
def test_any_text(text):
    _check(text)


@settings(deadline=None)
@given(st.text(alphabet="abc:-[]{}&*!|>'\"%@`#,?~<= \n\t\\\u2028\x85", max_size=60))
def test_any_punctuation(text):
    _check(text)


@settings(deadline=None)
@given(_TREES)
def test_any_tree(tree):
    _check(_flow(tree))


@settings(deadline=None)
@given(st.dictionaries(_WORDS, _TREES, max_size=5))
def test_any_sections(sections):
    _check("".join(f"{key}: {_flow(tree)}\n" for key, tree in sections.items()))


@settings(deadline=None)
@given(
    st.sampled_from(
        ["NETWORK_SUBNETS", "NETWORK_PORTS_HTTP", "METRICS_ADDR", "UDP_NMMINER_PORT", "SERIAL_OPEN", "POOLS_X"]
    ),
    st.text(max_size=20) | _WORDS,
)
def test_any_variable(name, value):
    _check("", {f"FLOCKWATCH_{name}": value})
