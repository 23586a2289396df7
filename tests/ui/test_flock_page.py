"""The first page and the first endpoints of the API, over a made-up flock."""

import pytest

from exporter.engine.fleet import FleetSnapshot, MinerRecord, SeenHost, UsbRecord
from exporter.model import Board, Fan, Identity, MinerState, Pool, Reading
from exporter.model_usb import UsbState, UsbStatus, UsbView
from exporter.units import celsius, hashes_per_second, rpm, unix_seconds, watts
from onboarding_ui import create_app
from onboarding_ui.figures import age, make_and_model, plain, scaled

READING = Reading(
    state=MinerState.MINING,
    hashrate=hashes_per_second(1.07e12),
    power=watts(18.4),
    fans=(Fan("0", rpm(4100)),),
    boards=(Board("0", chip_temperature_max=celsius(61.2)),),
    pools=(Pool("0", accepted=120.0, rejected=3.0), Pool("1", accepted=9.0, fee=True)),
)
HOSTILE = "<script>alert(1)</script>"


def miner(number, **fields):
    defaults = {
        "key": f"02:00:00:00:00:{number:02x}",
        "name": f"miner-{number}",
        "driver": "bitaxe",
        "identity": Identity(mac=f"02:00:00:00:00:{number:02x}", make="Bitaxe", model="Bitaxe Gamma 601"),
        "address": f"192.0.2.{number}",
        "up": True,
        "reading": READING,
    }
    return MinerRecord(id=number, **{**defaults, **fields})


class Engine:
    def __init__(self, *miners, seen=()):
        self._snapshot = FleetSnapshot(miners, seen)

    def snapshot(self):
        return self._snapshot


def client(*miners, seen=()):
    app = create_app(Engine(*miners, seen=seen))
    app.testing = True
    return app.test_client()


def test_the_page_shows_each_miner_with_its_figures():
    html = client(miner(1), miner(2, up=False, reading=None, address=None)).get("/").text
    assert "1 of 2" in html
    for shown in ("miner-1", "1.07 TH/s", "61 °C", "18 W", "120", "192.0.2.1", "Bitaxe Gamma 601"):
        assert shown in html
    assert "Bitaxe Bitaxe" not in html
    assert 'class="offline"' in html


def test_the_developers_pool_never_counts():
    assert ">129" not in client(miner(1)).get("/").text


def test_an_empty_flock_says_what_to_look_at():
    html = client().get("/").text
    assert "No miner has been found yet" in html
    assert "4028" in html


def test_device_text_stays_harmless():
    hostile = miner(1, name=HOSTILE, identity=Identity(model=HOSTILE))
    html = client(hostile, seen=(SeenHost("192.0.2.9", HOSTILE, None, None, None, unix_seconds(1.0)),)).get("/").text
    assert HOSTILE not in html
    assert "&lt;script&gt;" in html


def test_every_answer_forbids_foreign_content():
    for path in ("/", "/api/miners", "/static/flockwatch.css", "/nowhere"):
        with client(miner(1)).get(path) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_api_lists_with_a_total_and_pages():
    api = client(*(miner(number) for number in range(1, 8)), miner(8, enabled=False))
    answer = api.get("/api/miners?limit=3&offset=2")
    assert answer.headers["X-Total-Count"] == "7"
    assert [entry["id"] for entry in answer.json] == [3, 4, 5]
    entry = answer.json[0]
    assert entry["hashrate"] == 1.07e12
    assert entry["status"] == "online"
    assert entry["state"] == "mining"
    assert entry["miner_type"] == "bitaxe"
    assert entry["mac_address"] == "02:00:00:00:00:03"


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=1001", "offset=1.5", "offset=%00"])
def test_bad_pages_are_refused_with_the_field(query):
    answer = client(miner(1)).get(f"/api/miners?{query}")
    assert answer.status_code == 400
    assert answer.json["field"] == query.split("=")[0]
    assert answer.json["error"]


def test_one_miner_and_an_unknown_one():
    api = client(miner(1, up=False, reading=None))
    assert api.get("/api/miners/1").json["status"] == "offline"
    assert api.get("/api/miners/1").json["hashrate"] is None
    missing = api.get("/api/miners/2")
    assert missing.status_code == 404
    assert "2" in missing.json["error"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 H/s"),
        (999.0, "999 H/s"),
        (1000.0, "1.00 kH/s"),
        (78_500.0, "78.50 kH/s"),
        (1.07e12, "1.07 TH/s"),
        (999_999_000.0, "1.00 GH/s"),
        (-2500.0, "-2.50 kH/s"),
    ],
)
def test_figures_are_scaled(value, text):
    assert scaled(value, "H/s") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s ago"), (300, "5 min ago"), (7200, "2 h ago"), (259200, "3 d ago"), (-9, "0 s ago")]
)
def test_ages(seconds, text):
    assert age(1000.0, 1000.0 + seconds) == text
    assert age(None) == "never"


def test_plain_figures_and_names():
    assert plain(61.24, "°C", 1) == "61.2 °C"
    assert plain(None, "W") == "–"
    assert make_and_model(Identity(make="Canaan", model="Avalon Q")) == "Canaan Avalon Q"
    assert make_and_model(Identity(make="Bitmain")) == "Bitmain"
    assert make_and_model(Identity()) == ""


def test_a_miner_on_usb_shows_its_boot_state_and_port():
    view = UsbView(UsbStatus.INITIALIZING, UsbState.CONNECTED_IP, unix_seconds(1.0))
    booting = miner(
        1, driver="nerdminer", address=None, up=False, reading=None, usb=UsbRecord(view, "/dev/ttyACM0", "1-1.2")
    )
    api = client(booting, miner(2))
    html = api.get("/").text
    assert "CONNECTED IP" in html
    assert "1-1.2" in html
    expected = {"status": "Initializing", "state": "CONNECTED IP", "dev_path": "/dev/ttyACM0", "port_path": "1-1.2"}
    assert api.get("/api/miners/1").json["usb"] == expected
    assert "usb" not in api.get("/api/miners/2").json
