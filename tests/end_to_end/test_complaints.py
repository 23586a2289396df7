"""What the program says when something is wrong: one clear line with the remedy, status 2, no traceback."""

import os
import socket

import pytest

from exporter.cli import _parser
from tests.end_to_end.programs import complaints, free_port, run_command

pytestmark = pytest.mark.timeout(120)

COMMANDS = ("run", "scan", "rescan", "try", "record", "check-config", "drivers", "backup", "restore")
PLACE = """\
database: {path: ./data/flockwatch.json}
network: {subnets: [127.0.0.0/30]}
serial: {enabled: false}
udp: {nmminer_port: null}
drivers: {path: ./data/miner_drivers}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "targets.yml").write_text(PLACE)
    return tmp_path


def run(folder, *more, **environment):
    """`flockwatch run` on free ports."""
    listen = () if any("listen" in str(word) for word in more) else ("--web.listen-address", "127.0.0.1:0")
    return run_command(
        "run", "--ui.listen-address", "127.0.0.1:0", *listen, *more, folder=folder, environment=environment
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = run_command(command, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert f"usage: flockwatch {command}" in done.stdout
    assert command in run_command("--help").stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "COMMAND"),
        (("bogus",), "bogus"),
        (("scan", "--bogus"), "--bogus"),
        (("--log.level", "loud", "scan"), "loud"),
        (("drivers",), "ACTION"),
        (("backup",), "file"),
        (("try",), "host"),
        (("try", "no such host"), "no such host"),
        (("try", ""), "''"),
        (("try", "127.0.0.1:99999"), "127.0.0.1:99999"),
        (("try", "127.0.0.1:1"), "nothing answers at TCP 1"),
        (("record", "127.0.0.1:1", "--driver", "nobody"), "nobody"),
        (("scan", "10.0.0.0/8"), "--yes"),
        (("scan", "127.0.0.1/24"), "127.0.0.0/24 for the network"),
        (("scan", "169.254.169.254"), "metadata service"),
        (("scan", "2001:db8::/64"), "IPv6"),
        (("run", "--web.listen-address", "nowhere"), "--web.listen-address"),
        (("run", "--ui.listen-address", "127.0.0.1:http"), "--ui.listen-address"),
        (("run", "--web.config.file", "missing.yml"), "--web.config.file"),
        (("backup", "copy.json"), "no such database"),
        (("restore", "missing.json"), "missing.json"),
        (("rescan",), "flockwatch run"),
    ],
)
def test_a_wrong_call_is_answered_in_one_line(folder, words, named):
    (line,) = complaints(run_command(*words, folder=folder))
    assert named in line


@pytest.mark.parametrize("first", [True, False])
def test_a_global_option_counts_before_and_after_the_command(tmp_path, first):
    (tmp_path / "mine.yml").write_text(PLACE)
    options = ("--config.file", "mine.yml", "--log.level", "debug", "--log.format", "json")
    words = (*options, "check-config") if first else ("check-config", *options)
    done = run_command(*words, folder=tmp_path)
    assert done.returncode == 0
    assert "mine.yml" in done.stdout
    assert "targets.yml" not in done.stdout + done.stderr
    assert vars(_parser().parse_args(words)).items() >= {("log_level", "debug"), ("log_format", "json")}


# --- configuration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check-config"])
def test_a_missing_configuration_is_named(tmp_path, command):
    (line,) = complaints(run_command(command, "--config.file", tmp_path / "none.yml", folder=tmp_path))
    assert f"{tmp_path}/none.yml: no such file" in line


def test_a_folder_is_no_configuration(tmp_path):
    (line,) = complaints(run_command("check-config", tmp_path))
    assert "is a directory" in line


def test_a_configuration_that_may_not_be_read_is_named(folder):
    (folder / "targets.yml").chmod(0)
    # Root may read every file, unless it gives these rights up.
    by = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    (line,) = complaints(run_command("check-config", "--config.file", folder / "targets.yml", folder=folder, by=by))
    assert "permission denied" in line


def test_every_fault_of_a_configuration_has_a_line_with_its_place(folder):
    (folder / "targets.yml").write_text(
        "network:\n  timeout_ms: 1\n  subnet: [auto]\nintervals: {status_seconds: often}\n"
    )
    for command in ("run", "check-config", "backup", "scan"):
        words = ("b.json",) if command == "backup" else ()
        lines = complaints(run_command(command, *words, folder=folder))
        assert len(lines) == 3
        for number, key in ((2, "timeout_ms"), (3, "subnet"), (4, "status_seconds")):
            assert any(f"targets.yml:{number}" in line and key in line for line in lines), lines
    assert not (folder / "data").exists()


def test_what_is_no_yaml_is_named_with_its_line(folder):
    (folder / "targets.yml").write_text("network:\n  subnets: [auto\n")
    lines = complaints(run(folder))
    assert any("targets.yml:" in line for line in lines)


def test_an_environment_variable_with_a_fault_is_named(folder):
    (line,) = complaints(run(folder, FLOCKWATCH_INTERVALS_STATUS_SECONDS="often"))
    assert "FLOCKWATCH_INTERVALS_STATUS_SECONDS" in line


def test_a_network_that_is_too_large_needs_a_word(folder):
    (folder / "targets.yml").write_text(PLACE.replace("127.0.0.0/30", "10.0.0.0/8"))
    for done in (run(folder), run_command("check-config", folder=folder)):
        (line,) = complaints(done)
        assert "10.0.0.0/8" in line
        assert "allow_large" in line
    assert run_command("check-config", "--yes", folder=folder).returncode == 0


def test_a_credentials_file_that_others_may_read_is_refused(folder):
    passwords = folder / "passwords.yml"
    passwords.write_text('- {driver: vnish, password: "geheim"}\n')
    passwords.chmod(0o644)
    (line,) = complaints(run(folder, FLOCKWATCH_CREDENTIALS_FILE=str(passwords)))
    assert "chmod 600" in line
    assert "geheim" not in line


# --- ports and files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--web.listen-address", "--ui.listen-address"])
def test_a_busy_port_is_named(folder, option):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        other = {"--web.listen-address", "--ui.listen-address"} - {option}
        done = run_command("run", option, f"127.0.0.1:{port}", other.pop(), "127.0.0.1:0", folder=folder)
    (line,) = complaints(done)
    assert f"127.0.0.1:{port}" in line
    assert "address already in use" in line
    assert option in line


def test_a_busy_udp_port_is_named(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        port = holder.getsockname()[1]
        (folder / "targets.yml").write_text(PLACE.replace("null", str(port)))
        (line,) = complaints(run(folder))
    assert f"UDP port {port}" in line
    assert "udp.nmminer_port" in line


def test_an_address_of_another_host_is_no_place_to_listen(folder):
    (line,) = complaints(run(folder, "--web.listen-address", f"192.0.2.1:{free_port()}"))
    assert "192.0.2.1" in line


@pytest.mark.parametrize("content", ["{", "[]", '{"miners": {"1": 5}}', "\x00\xff"])
def test_a_database_that_cannot_be_read_is_left_as_it_is(folder, content):
    (folder / "data").mkdir()
    database = folder / "data" / "flockwatch.json"
    database.write_text(content)
    (line,) = complaints(run(folder))
    assert str(database) in line
    assert database.read_text() == content


def test_a_folder_is_no_database(folder):
    (folder / "data" / "flockwatch.json").mkdir(parents=True)
    (line,) = complaints(run(folder))
    assert "flockwatch.json" in line


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("basic_auth_users: {prom: plain}", "bcrypt"),
        ("tls_server_config: {cert_file: none.pem, key_file: none.pem}", "none.pem"),
        ("rate_limit: {interval: 1s}", "rate_limit"),
        ("basic_auth_usres: {}", "basic_auth_usres"),
    ],
)
def test_a_web_configuration_with_a_fault_is_refused(folder, content, named):
    (folder / "web.yml").write_text(content)
    (line,) = complaints(run(folder, "--web.config.file", folder / "web.yml"))
    assert named in line
    assert "plain" not in line
