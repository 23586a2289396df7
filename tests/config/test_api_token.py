import pytest

from exporter.api_token import load_api_token
from exporter.errors import ConfigError

TOKEN = "0123456789abcdef0123456789abcdef"


def write(tmp_path, content, mode=0o600):
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return {"FLOCKWATCH_API_TOKEN_FILE": str(path)}


def test_none_is_set():
    assert load_api_token({}) is None
    assert load_api_token({"FLOCKWATCH_API_TOKEN": "", "FLOCKWATCH_API_TOKEN_FILE": ""}) is None


def test_from_the_variable_and_from_a_file(tmp_path):
    assert load_api_token({"FLOCKWATCH_API_TOKEN": TOKEN}).reveal() == TOKEN
    assert load_api_token(write(tmp_path, TOKEN.encode() + b"\n")).reveal() == TOKEN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("short", "16 to 256 characters"),
        ("x" * 257, "16 to 256 characters"),
        ("with a blank in it", "without blanks"),
        ("with-a-tab\tinside-it", "without blanks"),
        ("ünd-not-ascii-0123456789", "ASCII"),
    ],
)
def test_what_is_no_token_is_refused_without_showing_it(tmp_path, text, words):
    for environ in ({"FLOCKWATCH_API_TOKEN": text}, write(tmp_path, text.encode())):
        with pytest.raises(ConfigError, match=words) as refused:
            load_api_token(environ)
        assert text not in str(refused.value)


def test_a_file_that_cannot_be_used(tmp_path):
    with pytest.raises(ConfigError, match="no such file; create it or unset FLOCKWATCH_API_TOKEN_FILE"):
        load_api_token({"FLOCKWATCH_API_TOKEN_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="may be read or written by others"):
        load_api_token(write(tmp_path, TOKEN.encode(), 0o644))
    with pytest.raises(ConfigError, match="16 to 256"):
        load_api_token(write(tmp_path, b"\n"))


def test_both_at_once_is_a_mistake(tmp_path):
    with pytest.raises(ConfigError, match="both set"):
        load_api_token(write(tmp_path, TOKEN.encode()) | {"FLOCKWATCH_API_TOKEN": TOKEN})
