"""Device passwords: order, CIDRs, the mode of the file, and that nothing of it is shown."""

import pytest

from exporter.credentials import Credential, candidates, load_credentials, read_credentials
from exporter.errors import ConfigError
from exporter.store.secret import Secret

GOOD = """
- {driver: antminer, cidr: 10.1.0.0/22, username: root, password: first}
- driver: "*"
  password: 0123
- {driver: antminer, password: ""}
- {driver: vnish, cidr: "fd00::/8", password: 'with: colon #'}
"""


def write(tmp_path, text, mode=0o600):
    path = tmp_path / "devices.yml"
    path.write_text(text)
    path.chmod(mode)
    return path


def fault(tmp_path, text, mode=0o600):
    with pytest.raises(ConfigError) as caught:
        read_credentials(write(tmp_path, text, mode))
    return str(caught.value).replace(f"{tmp_path}/", "")


def passwords(found):
    return [credential.password.reveal() for credential in found]


def test_the_list_is_read_in_order(tmp_path):
    found = read_credentials(write(tmp_path, GOOD))
    assert [(each.driver, str(each.cidr), each.username) for each in found] == [
        ("antminer", "10.1.0.0/22", "root"),
        ("*", "None", None),
        ("antminer", "None", None),
        ("vnish", "fd00::/8", None),
    ]
    assert passwords(found) == ["first", "0123", "", "with: colon #"]
    assert "first" not in repr(found)
    assert "0123" not in str(found)


def test_candidates_keep_the_order(tmp_path):
    found = read_credentials(write(tmp_path, GOOD))
    assert passwords(candidates(found, "antminer", "10.1.3.255")) == ["first", "0123", ""]
    assert passwords(candidates(found, "antminer", "10.1.4.0")) == ["0123", ""]
    assert passwords(candidates(found, "antminer", "miner.lan")) == ["0123", ""]
    assert passwords(candidates(found, "vnish", "fd00::1")) == ["0123", "with: colon #"]
    assert passwords(candidates(found, "bitaxe", "10.1.0.1")) == ["0123"]


def test_a_specific_entry_does_not_overtake():
    general = Credential("*", None, None, Secret("a"))
    special = Credential("vnish", None, None, Secret("b"))
    assert candidates([general, special], "vnish", "10.0.0.1") == (general, special)
    assert candidates([special, general], "vnish", "10.0.0.1") == (special, general)


def test_the_environment_names_the_file(tmp_path):
    path = write(tmp_path, GOOD)
    assert len(load_credentials({"FLOCKWATCH_CREDENTIALS_FILE": str(path)})) == 4
    assert load_credentials({}) == ()
    assert load_credentials({"FLOCKWATCH_CREDENTIALS_FILE": ""}) == ()


@pytest.mark.parametrize("text", ["", "# none\n", "[]\n"])
def test_no_entries(tmp_path, text):
    assert read_credentials(write(tmp_path, text)) == ()


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    message = fault(tmp_path, GOOD, mode)
    assert f"mode {mode:04o}" in message
    assert "chmod 600" in message


def test_a_group_may_be_let_in(tmp_path):
    assert len(read_credentials(write(tmp_path, GOOD, 0o640))) == 4


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file; create it or unset FLOCKWATCH_CREDENTIALS_FILE"):
        read_credentials(tmp_path / "nowhere.yml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n", "devices.yml:1: must be a list"),
        ("- hunter2\n", "devices.yml:1: [0]: must be a mapping"),
        ("- {driver: antminer}\n", "devices.yml:1: [0].password: is missing"),
        ("- {password: hunter2}\n", "devices.yml:1: [0].driver: is missing"),
        ("\n- {driver: Ant Miner, password: hunter2}\n", "devices.yml:2: [0].driver: must be a driver's name"),
        ("- {driver: x, cidr: 10.0.0.1/8, password: hunter2}\n", "[0].cidr: must be a network such as"),
        ("- {driver: x, password: }\n", "[0].password: must be text in quotes"),
        ("- {driver: x, password: [hunter2]}\n", "[0].password: must be text in quotes"),
        ("- {driver: x, password: *hunter2}\n", "devices.yml:1: not valid YAML"),
        ("- {driver: x, password: !hunter2 y}\n", "[0].password: must be text in quotes"),
        ("- {driver: x, password: a, hunter2}\n", "[0].a key: unknown key"),
        ("- {driver: x, password: a, hunter2: 1, hunter2: 2}\n", "[0].a key: comes twice"),
        ("- {driver: x, password: hunter2, user: root}\n", "did you mean username?"),
        ("- {driver: x, password: hunter2, pasword: hunter2}\n", "did you mean password?"),
        ("- {driver: x, passwd: hunter2}\n", "did you mean password?"),
        ("- {driver: x, password: 'hunter2}\n", "not valid YAML"),
    ],
)
def test_faults_have_a_place_and_no_value(tmp_path, text, words):
    message = fault(tmp_path, text)
    assert words in message
    assert "hunter2" not in message


def test_all_faults_at_once(tmp_path):
    message = fault(tmp_path, "- {driver: x}\n- {driver: y, password: a, cidr: z}\n")
    assert [line.split(": ")[0] for line in message.splitlines()] == ["devices.yml:1", "devices.yml:2"]
