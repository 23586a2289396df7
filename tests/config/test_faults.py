"""Each fault of targets.yml gets one line with file, line, key and remedy."""

import pytest

from exporter.config import load_settings
from exporter.errors import ConfigError

N0, N1, LABELS = "network.subnets[0]", "network.subnets[1]", "miners[0].labels"

#: (what is wrong, text, line, key, words of the message)
FAULTS = [
    ("bound", "network:\n  timeout_ms: 5\n", 2, "network.timeout_ms", "must be between 50 and 10000, got 5"),
    ("unknown section", "a: 1\nnetworks: {}\n", 2, "networks", "did you mean network?"),
    ("unknown key", "network:\n  subnet: [auto]\n", 2, "network.subnet", "did you mean subnets?"),
    ("far-off key", "udp: {colour: 1}\n", 1, "udp.colour", "unknown key; known here: nmminer_port"),
    ("nested key", "metrics: {collectors: {chip: true}}\n", 1, "metrics.collectors.chip", "did you mean chips?"),
    ("key of a miner", "miners:\n- address: 10.0.0.1\n  adress: x\n", 3, "miners[0].adress", "did you mean address?"),
    ("duplicate", "udp:\n  nmminer_port: 1\n  nmminer_port: 1\n", 3, "udp.nmminer_port", "first in line 2; keep one"),
    ("duplicate section", "pools: {}\nudp: {}\npools: {}\n", 3, "pools", "comes twice, first in line 1"),
    ("text for integer", "network: {timeout_ms: fast}\n", 1, "network.timeout_ms", "must be a whole number"),
    ("float for integer", "network: {timeout_ms: 400.5}\n", 1, "network.timeout_ms", "got 400.5"),
    ("bool for integer", "udp: {nmminer_port: yes}\n", 1, "udp.nmminer_port", "got yes"),
    ("octal", "network: {timeout_ms: 0400}\n", 1, "network.timeout_ms", "must be a whole number"),
    ("base sixty", "network: {timeout_ms: 1:40}\n", 1, "network.timeout_ms", "must be a whole number"),
    ("huge integer", f"network: {{timeout_ms: {'9' * 5000}}}\n", 1, "network.timeout_ms", "must be a whole number"),
    ("quoted bool", "pools: {statistics: 'true'}\n", 1, "pools.statistics", "leave the quotes out"),
    ("number for bool", "pools: {statistics: 1}\n", 1, "pools.statistics", "must be true or false"),
    ("nothing for bool", "control: {enabled: }\n", 1, "control.enabled", "got nothing"),
    ("unit in seconds", "intervals: {status_seconds: 15s}\n", 1, "intervals.status_seconds", "must be a number"),
    ("zero seconds", "intervals: {status_seconds: 0}\n", 1, "intervals.status_seconds", "between 0.1 and 86400"),
    ("negative", "intervals: {shares_seconds: -1}\n", 1, "intervals.shares_seconds", "got -1"),
    ("nan", "intervals: {shares_seconds: .nan}\n", 1, "intervals.shares_seconds", "must be a number"),
    ("zero cycles", "network: {offline_after: 0}\n", 1, "network.offline_after", "between 1 and 1000"),
    ("section is a list", "network: [auto]\n", 1, "network", "must be a mapping of keys and values, got a list"),
    ("file is a list", "- a\n", 1, "", "must be a mapping"),
    ("file is text", "hello\n", 1, "", "must be a mapping"),
    ("list is text", "network: {subnets: auto}\n", 1, "network.subnets", "must be a list such as [a, b]"),
    ("list is nothing", "network:\n  subnets:\n", 2, "network.subnets", "[] is the empty one"),
    ("miners is a mapping", "miners: {}\n", 1, "miners", "must be a list"),
    ("miner is text", "miners: [10.0.0.1]\n", 1, "miners[0]", "must be a mapping"),
    ("key is a list", "? [a]\n: 1\n", 1, "", "a key must be a word"),
    ("merge key", "udp: &u {nmminer_port: 1}\npools: {<<: *u}\n", 2, "pools.<<", "unknown key; known here"),
    ("name with port", "http: {allowed_hosts: ['flock:80']}\n", 1, "http.allowed_hosts[0]", "without scheme and port"),
    ("name with scheme", "http: {allowed_hosts: ['http://flock']}\n", 1, "http.allowed_hosts[0]", "a host name alone"),
    ("address as name", "http: {allowed_hosts: [10.0.0.7]}\n", 1, "http.allowed_hosts[0]", "need not be listed"),
    ("tag", "http: {addr: !!python/name:os.system x}\n", 1, "http.addr", "must be text"),
    ("host bits", "network: {subnets: [10.0.0.9/24]}\n", 1, N0, "write 10.0.0.0/24"),
    ("prefix", "network: {subnets: [10.0.0.0/33]}\n", 1, N0, "between /0 and /32"),
    ("netmask", "network: {subnets: [10.0.0.0/255.0.0.0]}\n", 1, N0, "prefix length"),
    ("octet", "network: {subnets: [10.0.0.256/32]}\n", 1, N0, "CIDR notation"),
    ("no prefix", "network: {subnets: [10.0.0.7]}\n", 1, N0, "or 10.0.0.7/32 for this one address"),
    ("six", "network: {subnets: ['fd00::/64']}\n", 1, N0, "IPv6 networks are too large"),
    ("public", "network: {subnets: [8.8.8.0/24]}\n", 1, N0, "network.allow_public: true"),
    ("half public", "network: {subnets: [172.0.0.0/8]}\n", 1, N0, "network.allow_public: true"),
    ("documentation", "network: {subnets: [192.0.2.0/24]}\n", 1, N0, "network.allow_public: true"),
    ("large", "network: {subnets: [10.0.0.0/15]}\n", 1, N0, "network.allow_large: true"),
    ("multicast", "network: {allow_public: true, subnets: [224.0.0.0/24]}\n", 1, N0, "no host"),
    ("twice", "network:\n  subnets:\n  - 10.0.0.0/24\n  - {cidr: 10.0.0.0/24}\n", 4, f"{N1}.cidr", "comes twice"),
    ("no cidr", "network: {subnets: [{labels: {site: a}}]}\n", 1, f"{N0}.cidr", "is missing"),
    ("reserved", "network: {subnets: [{cidr: auto, labels: {model: a}}]}\n", 1, f"{N0}.labels.model", "own"),
    ("label name", "network: {subnets: [{cidr: auto, labels: {a-b: a}}]}\n", 1, f"{N0}.labels.a-b", "no label name"),
    ("underscores", "miners: [{address: a, labels: {__a: a}}]\n", 1, f"{LABELS}.__a", "belong to Prometheus"),
    ("label empty", "miners: [{address: a, labels: {a: ''}}]\n", 1, f"{LABELS}.a", "printable characters"),
    ("label list", "miners: [{address: a, labels: {a: [1]}}]\n", 1, f"{LABELS}.a", "must be text, got a list"),
    ("label nothing", "miners: [{address: a, labels: {a: }}]\n", 1, f"{LABELS}.a", "must be text, got nothing"),
    ("labels list", "miners: [{address: a, labels: [a]}]\n", 1, LABELS, "must be a mapping"),
    ("port", "network: {ports: {http: [0]}}\n", 1, "network.ports.http[0]", "between 1 and 65535"),
    ("port twice", "network: {ports: {cgminer: [1, 1]}}\n", 1, "network.ports.cgminer[1]", "comes twice"),
    ("no address", "miners:\n- driver: bitaxe\n", 2, "miners[0].address", "is missing"),
    ("address and port", "miners: [{address: '10.0.0.1:80'}]\n", 1, "miners[0].address", "the port goes under port:"),
    ("URL as address", "miners: [{address: 'http://10.0.0.1'}]\n", 1, "miners[0].address", "without scheme"),
    ("half an address", "miners: [{address: 10.0.0}]\n", 1, "miners[0].address", "IP address or a host name"),
    ("host name", "miners: [{address: 'a_b c'}]\n", 1, "miners[0].address", "IP address or a host name"),
    ("address of nobody", "miners: [{address: 0.0.0.0}]\n", 1, "miners[0].address", "no host can have"),
    ("address twice", "miners:\n- address: 10.0.0.1\n- address: 10.0.0.1\n", 3, "miners[1].address", "comes twice"),
    ("nerdminer", "miners: [{address: 10.0.0.1, driver: nerdminer}]\n", 1, "miners[0].driver", "speak over USB only"),
    ("driver word", "miners: [{address: 10.0.0.1, driver: Bit axe}]\n", 1, "miners[0].driver", "one lower-case word"),
    ("miner's port", "miners: [{address: 10.0.0.1, port: 65536}]\n", 1, "miners[0].port", "between 1 and 65535"),
    ("name", 'miners: [{address: 10.0.0.1, name: "a\\nb"}]\n', 1, "miners[0].name", "printable characters"),
    ("open", "serial: {open: never}\n", 1, "serial.open", "must be one of known, hotplug, all"),
    ("device", "serial: {ports: [COM3]}\n", 1, "serial.ports[0]", "/dev/ttyUSB0"),
    ("pattern", "serial: {match: ['']}\n", 1, "serial.match[0]", "303a:1001"),
    ("addr", "http: {addr: 127.0.0.1}\n", 1, "http.addr", '"host:port"'),
    ("addr a number", "metrics: {addr: 9877}\n", 1, "metrics.addr", '":port"'),
    ("addr port", "metrics: {addr: ':99999'}\n", 1, "metrics.addr", "between 0 and 65535"),
    ("empty path", "database: {path: ''}\n", 1, "database.path", "must not be empty"),
    ("home path", "drivers: {path: ~/drivers}\n", 1, "drivers.path", "~ is not expanded"),
    ("url", "prometheus: {url: localhost:9090}\n", 1, "prometheus.url", "http://127.0.0.1:9090"),
    ("url port", "prometheus: {url: 'http://a:x'}\n", 1, "prometheus.url", "http://127.0.0.1:9090"),
    ("syntax", "network:\n  subnets: [auto\nudp: {}\n", 3, "", "not valid YAML"),
    ("tab", "network:\n\ttimeout_ms: 1\n", 2, "", "not valid YAML"),
    ("control character", "udp:\n  nmminer_port: \x01\n", 2, "", "not valid YAML: a control character"),
    ("two documents", "udp: {}\n---\npools: {}\n", 2, "", "not valid YAML"),
]  # fmt: skip


def fault(tmp_path, text, environ=None):
    path = tmp_path / "targets.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(("text", "line", "key", "words"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_fault(tmp_path, text, line, key, words):
    lines = fault(tmp_path, text).splitlines()
    wanted = f"targets.yml:{line}: {key}: " if key else f"targets.yml:{line}: "
    matching = [found for found in lines if found.startswith(wanted) and words in found]
    assert matching, lines
    assert len(matching[0]) < 300


def test_one_fault_one_line(tmp_path):
    assert fault(tmp_path, "network:\n  timeout_ms: 5\n") == (
        "targets.yml:2: network.timeout_ms: must be between 50 and 10000, got 5"
    )


def test_all_faults_in_the_order_of_the_file(tmp_path):
    text = "udp: {nmminer_port: x}\nnope: 1\nnetwork:\n  offline_after: 0\n  timeout_ms: 5\n" + "\n" * 6 + "pools: 3\n"
    lines = fault(tmp_path, text, {"FLOCKWATCH_POOLS_STATISTICS": "maybe"}).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "targets.yml:1", "targets.yml:2", "targets.yml:4", "targets.yml:5", "targets.yml:12",
        "FLOCKWATCH_POOLS_STATISTICS",
    ]  # fmt: skip


def test_missing_file(tmp_path):
    with pytest.raises(
        ConfigError, match=r"nowhere\.yml: no such file; create it .* or name another with --config\.file"
    ):
        load_settings(tmp_path / "nowhere.yml", {})


def test_folder_instead_of_file(tmp_path):
    with pytest.raises(ConfigError, match="is a directory"):
        load_settings(tmp_path, {})


def test_wrong_encoding(tmp_path):
    assert fault(tmp_path, b"pools: {}\n# gr\xfc\xdfe\n") == "targets.yml:2: not UTF-8 text; save the file as UTF-8"


def test_deep_nesting(tmp_path):
    assert "nested too deeply" in fault(tmp_path, "network: " + "[" * 5000)


def test_bad_escape(tmp_path):
    assert "not valid YAML" in fault(tmp_path, 'database: {path: "\\UFFFFFFFF"}\n')


def test_an_alias_to_itself_does_no_harm(tmp_path):
    assert "must be" in fault(tmp_path, "network: &n {subnets: [*n]}\nminers: &m [*m]\n")


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "api_key",
        "apiKey",
        "apikey",
        "token",
        "API_TOKEN",
        "root_pwd",
        "passphrase",
        "client-secret",
        "auth",
    ],
)
def test_secrets_are_sent_elsewhere(tmp_path, key):
    for text in (
        f"{key}: hunter2\n",
        f"drivers: {{{key}: hunter2}}\n",
        f"miners: [{{address: 10.0.0.1, {key}: hunter2}}]",
    ):
        message = fault(tmp_path, text)
        assert "secrets do not belong in this file" in message
        assert "FLOCKWATCH_CREDENTIALS_FILE" in message
        assert "settings page" in message
        assert "hunter2" not in message


@pytest.mark.parametrize(
    "text",
    ["drivers: {password: *hunter2}\n", "prometheus: {url: 'http://me:hunter2@127.0.0.1'}\n", "a: !hunter2! b\n"],
)
def test_secrets_are_not_shown(tmp_path, text):
    assert "hunter2" not in fault(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FLOCKWATCH_NETWORK_TIMEOUT_MS", "5", "must be between 50 and 10000, got '5'"),
        ("FLOCKWATCH_NETWORK_TIMEOUT_MS", "", "must be a whole number"),
        ("FLOCKWATCH_NETWORK_TIMEOUT", "300", "is no setting; did you mean FLOCKWATCH_NETWORK_TIMEOUT_MS?"),
        ("FLOCKWATCH_NETWORK_SUBNETS", "10.0.0.0/24,10.0.0.0/24", "comes twice"),
        ("FLOCKWATCH_NETWORK_SUBNETS", "10.0.0.0/24,,", "must not be empty"),
        ("FLOCKWATCH_NETWORK_SUBNETS", "10.0.0.1/24", "write 10.0.0.0/24"),
        ("FLOCKWATCH_NETWORK", "x", "is no setting"),
        ("FLOCKWATCH_METRICS_COLLECTORS", "chips", "is no setting"),
        ("FLOCKWATCH_METRICS_COLLECTORS_CHIPS", "maybe", "must be true or false, got 'maybe'"),
        ("FLOCKWATCH_METRICS_ADDR", "9877", '"host:port"'),
        ("FLOCKWATCH_MINERS_0_ADDRESS", "10.0.0.1", "fixed miners are listed in the file only"),
        ("FLOCKWATCH_INTERVALS_STATUS_SECONDS", "1e9", "must be a number"),
    ],
)
def test_bad_variables(tmp_path, name, value, words):
    message = fault(tmp_path, "", {name: value})
    assert message.startswith(f"{name}: ")
    assert words in message


def test_a_bad_value_stays_a_fault_when_it_is_overridden(tmp_path):
    message = fault(tmp_path, "network: {timeout_ms: 5}\n", {"FLOCKWATCH_NETWORK_TIMEOUT_MS": "100"})
    assert message.startswith("targets.yml:1: network.timeout_ms")


def test_messages_are_one_clean_line_each(tmp_path):
    message = fault(tmp_path, '"a\\nb\\e[31m": 1\nserial: {open: "x\\ny"}\n')
    assert len(message.splitlines()) == 2
    assert "\x1b" not in message
