import copy
import json
import logging
import pickle

import pytest

from exporter.store.secret import Secret, redact

TEXT = 'pa"ss/w örd'


def test_no_way_of_printing_shows_the_text(caplog):
    secret = Secret(TEXT)
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r %s", secret, secret, {"password": secret})
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{secret:>10}", f"{[secret]}", caplog.text]
    assert all("ss/w" not in text for text in shown)
    assert f"{secret}" == "<secret>"
    assert f"{secret:>10}" == "  <secret>"
    assert secret.reveal() == TEXT


def test_does_not_leave_the_process_by_accident():
    secret = Secret(TEXT)
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    with pytest.raises(TypeError):
        "user:" + secret  # type: ignore[operator]
    with pytest.raises(TypeError):
        "".join([secret])  # type: ignore[list-item]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(secret, protocol)
    assert not hasattr(secret, "__dict__")


def test_value_semantics():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("\udcff") == Secret("\udcff")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert not Secret("")
    assert copy.deepcopy([Secret("a")]) == [Secret("a")]
    with pytest.raises(TypeError, match="string"):
        Secret(Secret("a"))  # type: ignore[arg-type]


def test_redact_finds_every_form():
    text = f"plain {TEXT} json {json.dumps({'pw': TEXT})} url ?pw=pa%22ss%2Fw%20%C3%B6rd form pa%22ss%2Fw+%C3%B6rd"
    assert redact(text, [Secret(TEXT)]) == ('plain <secret> json {"pw": "<secret>"} url ?pw=<secret> form <secret>')


def test_redact_takes_the_longest_first_and_ignores_empty_ones():
    secrets = [Secret(""), Secret("root"), Secret("root1234"), Secret("secret")]
    assert redact("root1234 root nothing", secrets) == "<secret> <secret> nothing"
    assert redact("nothing", []) == "nothing"
    assert redact("nothing", [Secret("")]) == "nothing"
