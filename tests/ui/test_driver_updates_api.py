"""``/api/miner-drivers``: answers, errors and what each change says of itself."""

import pytest

from exporter.engine.api.drivers import DriverChange
from exporter.errors import StoreError
from onboarding_ui import create_app
from onboarding_ui.api.drivers import change_words
from tests.ui.fake_drivers import STATUSES
from tests.ui.fake_engine import FakeEngine

BASE = "/api/miner-drivers"


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def client(engine):
    app = create_app(engine)
    app.testing = False
    return app.test_client()


def test_the_list(client):
    answer = client.get(BASE)
    assert answer.headers["X-Total-Count"] == str(len(STATUSES))
    found = {one["driver_type"]: one for one in answer.json}
    assert found["bitaxe"] == {
        "driver_type": "bitaxe", "display_name": "Bitaxe", "manufacturer": "Maker", "version": "1.0.0",
        "source": "user", "sha256": "cd" * 32, "file": "bitaxe_driver.py", "status": "update-available",
        "available_version": "1.1.0", "available_sha256": "ab" * 32, "update_available": True,
        "previous_version": "0.9.0", "previous_sha256": "dd" * 32, "reload_needed": False, "error": None,
        "traceback": None,
    }  # fmt: skip
    assert found["vnish"]["traceback"].startswith("Traceback")


def test_updates_that_there_are(client):
    assert [one["driver_type"] for one in client.get(f"{BASE}/check-updates").json] == ["bitaxe", "vnish"]


def test_one_update_and_the_way_back(client):
    done = client.post(f"{BASE}/update/bitaxe", query_string={"sha256": "ab" * 32}).json
    assert (done["result"], done["version_before"], done["version"]) == ("updated", "1.0.0", "1.1.0")
    assert (done["sha256"], done["kept"]) == ("ab" * 32, "bitaxe_driver.py.previous")
    assert client.post(f"{BASE}/update/bitaxe").json["result"] == "unchanged"
    back = client.post(f"{BASE}/rollback/bitaxe").json
    assert (back["result"], back["version"]) == ("rolled-back", "1.0.0")


def test_all_updates_tell_of_each_file(client, engine):
    engine.drivers.failing.add("bitaxe")
    done = client.post(f"{BASE}/update-all")
    assert done.status_code == 200
    failed, updated = done.json
    assert (failed["result"], updated["result"]) == ("failed", "updated")
    assert failed["message"] == "bitaxe was not changed: bitaxe_driver.py cannot be written: no space left on device"


def test_reload_answers_with_the_list(client, engine):
    answer = client.post(f"{BASE}/reload")
    assert [one["driver_type"] for one in answer.json] == [one.driver_type for one in STATUSES]
    assert engine.drivers.reloads == 1


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("update/nobody", 404, None),
        ("update/torch", 404, None),
        ("rollback/cgminer", 404, None),
        ("rollback/vnish", 400, None),
        (f"update/bitaxe?sha256={'00' * 32}", 422, "sha256"),
        (f"rollback/avalon?sha256={'00' * 32}", 422, "sha256"),
        ("update/bitaxe?sha256=short", 400, "sha256"),
        ("update/bitaxe?force=1", 400, "force"),
    ],
)
def test_what_cannot_be_done(client, path, status, field):
    answer = client.post(f"{BASE}/{path}")
    assert (answer.status_code, answer.json["field"]) == (status, field)
    assert answer.json["error"]


def test_a_full_disk_is_503(client, engine):
    engine.fault = StoreError("data/miner_drivers/bitaxe_driver.py cannot be written: no space left on device")
    answer = client.post(f"{BASE}/update/bitaxe")
    assert (answer.status_code, answer.json["field"]) == (503, None)
    assert "no space left" in answer.json["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (DriverChange("a", "updated", "1.0.0", "1.1.0"), "a is 1.1.0 now."),
        (DriverChange("a", "rolled-back", "1.1.0", "1.0.0"), "a is back at 1.0.0."),
        (DriverChange("a", "unchanged", "1.1.0", "1.1.0"), "a was up to date."),
        (DriverChange("a", "failed", error="disk full"), "a was not changed: disk full"),
        (
            DriverChange("a", "rolled-back", "1.1.0", "1.0.0", error="a_driver.py: NameError"),
            "a is back at 1.0.0, but the program cannot use it: a_driver.py: NameError",
        ),
    ],
)
def test_a_change_in_words(change, words):
    assert change_words(change) == words
