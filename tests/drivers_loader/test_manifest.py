"""Metadata is read without running the file."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.drivers.loader import BUNDLED_FOLDER
from exporter.drivers.manifest import read_manifest, sha256_hex, version_key
from exporter.drivers.user_folder import driver_files
from exporter.errors import DriverRejected
from tests.drivers_loader.conftest import changed, driver_text


def manifest_of(tmp_path, text):
    path = tmp_path / "lamp_driver.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifest(path)


def reason_of(tmp_path, text):
    with pytest.raises(DriverRejected) as caught:
        manifest_of(tmp_path, text)
    return str(caught.value)


def test_metadata(tmp_path):
    text = driver_text(version="1.2.3-rc.1+build.5")
    manifest = manifest_of(tmp_path, text)
    assert manifest.driver_type == "lamp"
    assert manifest.driver_version == "1.2.3-rc.1+build.5"
    assert (manifest.display_name, manifest.manufacturer) == ("Lamp", "Lamps Inc")
    assert manifest.supported_models == ("Lamp 1",)
    assert (manifest.connection_type, manifest.default_port, manifest.interface_version) == ("http", 80, 1)
    assert manifest.class_name == "LampDriver"
    assert manifest.path == tmp_path / "lamp_driver.py"
    assert manifest.sha256 == sha256_hex(text.encode())


def test_the_file_does_not_run(tmp_path):
    assert manifest_of(tmp_path, "raise SystemExit('it ran')\n" + driver_text()).driver_type == "lamp"


@pytest.mark.parametrize(
    ("line", "base"),
    [
        ("from exporter.drivers.api import Driver as Base", "Base"),
        ("from exporter.drivers import api", "api.Driver"),
        ("from exporter.drivers import api as contract", "contract.Driver"),
        ("import exporter.drivers.api", "exporter.drivers.api.Driver"),
        ("import exporter.drivers.api as contract", "contract.Driver"),
    ],
)
def test_ways_to_name_the_base(tmp_path, line, base):
    text = driver_text().replace("import dataclasses\n", f"import dataclasses\n{line}\n", 1)
    assert manifest_of(tmp_path, text.replace("(Driver)", f"({base})")).class_name == "LampDriver"


def test_annotated_metadata_and_lists(tmp_path):
    text = changed(
        driver_text(),
        driver_type='driver_type: ClassVar[str] = "lamp"',
        supported_models='supported_models: ClassVar[list[str]] = ["A", "B"]',
        default_port="default_port: int | None = None",
    )
    manifest = manifest_of(tmp_path, text)
    assert manifest.supported_models == ("A", "B")
    assert manifest.default_port is None


def test_a_base_of_another_file_is_recognised_by_its_metadata(tmp_path):
    text = driver_text().replace("(Driver)", "(SomeFamily)")
    assert manifest_of(tmp_path, text).class_name == "LampDriver"


@pytest.mark.parametrize(
    ("attribute", "line", "words"),
    [
        ("driver_type", "pass", "driver_type is missing"),
        ("driver_type", 'driver_type = "Lamp"', "driver_type must be one lower-case word"),
        ("driver_type", 'driver_type = "two words"', "driver_type must be one lower-case word"),
        ("driver_type", 'driver_type = "9lamp"', "driver_type must be one lower-case word"),
        ("driver_type", 'driver_type = "la" + NAME', "driver_type must be a literal"),
        ("driver_version", 'driver_version = "1.0"', "driver_version must be a semantic version"),
        ("driver_version", 'driver_version = "01.0.0"', "driver_version must be a semantic version"),
        ("driver_version", 'driver_version = "1.0.0\\n"', "driver_version must be a semantic version"),
        ("driver_version", "driver_version = 1", "driver_version must be a semantic version"),
        ("display_name", 'display_name = ""', "display_name must be a text"),
        ("display_name", 'display_name = "a\\nb"', "display_name must be a text"),
        ("manufacturer", "manufacturer = None", "manufacturer must be a text"),
        ("supported_models", 'supported_models = "Lamp"', "supported_models must be a tuple"),
        ("supported_models", "supported_models = ()", "supported_models must be a tuple"),
        ("connection_type", 'connection_type = "telnet"', "connection_type must be one of http, tcp, udp, serial"),
        ("connection_type", "connection_type = []", "connection_type must be one of http, tcp, udp, serial"),
        ("default_port", "default_port = 0", "default_port must be a port number or None"),
        ("default_port", "default_port = True", "default_port must be a port number or None"),
        ("interface_version", "interface_version = 2", "interface_version must be 1, the version"),
        ("interface_version", "interface_version = True", "interface_version must be 1, the version"),
        ("interface_version", "interface_version = INTERFACE_VERSION", "interface_version must be a literal"),
    ],
)
def test_bad_metadata(tmp_path, attribute, line, words):
    reason = reason_of(tmp_path, changed(driver_text(), **{attribute: line}))
    assert reason.startswith("class LampDriver: ")
    assert words in reason


def test_all_of_it_is_named(tmp_path):
    reason = reason_of(
        tmp_path, changed(driver_text(), driver_type="pass", manufacturer="pass", default_port='default_port = "80"')
    )
    assert [word in reason for word in ("driver_type", "manufacturer", "default_port")] == [True] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class X(\n", "syntax error in line 1"),
        (b"\xff\xfe", "syntax error"),
        (b"x = '\0'\n", "null bytes"),
        ("", "no class that derives from Driver"),
        ("class Lamp:\n    pass\n", "no class that derives from Driver"),
        ("(" * 100_000, "too"),
        (b"#" * 1_000_001, "larger than"),
    ],
)
def test_files_without_a_driver(tmp_path, text, words):
    assert words in reason_of(tmp_path, text)


def test_two_drivers_in_one_file(tmp_path):
    reason = reason_of(tmp_path, driver_text() + "\n\nclass Other(Driver):\n    pass\n")
    assert "holds 2 driver classes (LampDriver, Other)" in reason


def test_missing_file(tmp_path):
    with pytest.raises(DriverRejected, match="cannot be read: no such file"):
        read_manifest(tmp_path / "nowhere_driver.py")


def test_versions_sort_by_precedence():
    versions = [
        "0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1",
        "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0",
    ]  # fmt: skip
    shuffled = random.Random(7).sample(versions, len(versions))
    assert sorted(shuffled, key=version_key) == versions
    assert version_key("1.0.0+a") == version_key("1.0.0+b")


@settings(deadline=None)
@given(st.text(alphabet="0123456789.-+abc", max_size=12), st.text(alphabet="0123456789.-+abc", max_size=12))
def test_any_two_versions_compare(one, other):
    keys = []
    for text in (one, other, "1.0.0"):
        try:
            keys.append(version_key(text))
        except ValueError:
            assert text != "1.0.0"
    assert [max(keys), max(keys[::-1])] == [max(keys)] * 2


def test_the_bundled_files_say_what_they_are():
    for path in driver_files(BUNDLED_FOLDER):
        assert path.name == f"{read_manifest(path).driver_type}_driver.py"
