"""AxeOS and NerdQAxe: what the fixtures do not show."""

import json
from pathlib import Path

import pytest

from exporter.drivers.api import Answer, Answers, DecodeContext, Specificity
from exporter.drivers.bundled.bitaxe_driver import BitaxeDriver
from exporter.drivers.bundled.nerdqaxe_driver import NerdQAxeDriver
from exporter.drivers.bundled.nmminer_driver import NMMinerDriver
from exporter.errors import DecodeError
from exporter.model import DeviceError, Identity, MinerState

INFO = "GET /api/system/info"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def info_of(fixture):
    return json.loads((FIXTURES / fixture / "http_api_system_info.json").read_text())


def answers(document, **more):
    found = {INFO: Answer(json.dumps(document).encode())}
    found.update({f"GET {path}": Answer(json.dumps(value).encode()) for path, value in more.items()})
    return Answers(found)


def bitaxe(**changes):
    document = {**info_of("bitaxe/gamma601-2.12.2"), **changes}
    return BitaxeDriver().decode_status(answers(document), DecodeContext(0.0))


def nerdqaxe(fixture="nerdqaxe/nerdqaxepp-1.0.30", details=None, nodes=None, **changes):
    more = {} if nodes is None else {"/api/v2/can/nodes": nodes}
    context = DecodeContext(0.0, details=details or {})
    return NerdQAxeDriver().decode_status(answers({**info_of(fixture), **changes}, **more), context)


class TestBitaxe:
    def test_the_fallback_pool_carries_the_shares_while_it_is_in_use(self):
        first, second = bitaxe().pools
        assert (first.active, first.accepted, second.active, second.accepted) == (False, None, True, 1204.0)

    def test_an_unconfigured_fallback_pool_is_no_pool(self):
        (pool,) = bitaxe(isUsingFallbackStratum=0, fallbackStratumURL="").pools
        assert (pool.pool, pool.active, pool.rejected) == ("0", True, 9.0)

    @pytest.mark.parametrize("value", [0, 1, True, False])
    def test_flags_were_numbers_before_2_14(self, value):
        assert bitaxe(isUsingFallbackStratum=value).pools[int(value)].active is True

    def test_shares_of_2_15_belong_to_the_pool_in_use_by_its_own_number(self):
        document = {**info_of("bitaxe/suprahex702-2.15.0"), "isUsingFallbackStratum": 1}
        pools = BitaxeDriver().decode_status(answers(document), DecodeContext(0.0)).pools
        assert [(pool.pool, pool.active, pool.accepted) for pool in pools] == [
            ("0", True, 1204.0),
            ("2", False, None),
            ("5", False, None),
        ]

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [("2.03 G", 2.03e9), ("483k", 4.83e5), ("0", 0.0), (49224525, 49224525.0), ("13M", 1.3e7), ("N/A", None)],
    )
    def test_best_difficulty_was_text_before_2_11(self, sent, expected):
        found = bitaxe(bestDiff=sent).best_share_difficulty
        assert found == (expected if expected is None else pytest.approx(expected))

    @pytest.mark.parametrize("rssi", [0, -128, 31, None])
    def test_no_signal_is_no_figure(self, rssi):
        assert bitaxe(wifiRSSI=rssi).wifi_signal is None

    @pytest.mark.parametrize("missing", [-1, 0, None])
    def test_a_missing_second_sensor_is_left_out(self, missing):
        board = bitaxe(temp=60, temp2=missing).boards[0]
        assert (board.chip_temperature_min, board.chip_temperature_avg, board.chip_temperature_max) == (60, 60, 60)

    def test_two_sensors(self):
        board = bitaxe(temp=60, temp2=64).boards[0]
        assert (board.chip_temperature_min, board.chip_temperature_avg, board.chip_temperature_max) == (60, 62, 64)

    def test_current_is_the_regulators_on_boards_without_a_meter_at_the_input(self):
        assert bitaxe(boardVersion="601", current=12000).psus[0].output_current == 12.0
        assert bitaxe(boardVersion="204", current=2300).psus[0].input_current == 2.3
        unknown = bitaxe(boardVersion="LV9", current=2300).psus[0]
        assert (unknown.input_current, unknown.output_current) == (None, None)

    def test_a_pause_is_meant(self):
        reading = bitaxe(miningPaused=True, hashRate=0)
        assert (reading.state, reading.expected_mining, reading.errors) == (MinerState.IDLE, False, ())

    def test_faults_are_named_by_what_is_broken(self):
        reading = bitaxe(power_fault="IOUT OC", hardware_fault="Fan Control Failed (init)", overheat_mode=1)
        assert reading.state is MinerState.FAULT
        assert reading.expected_mining is True
        assert reading.overheat is True
        assert reading.errors == (
            DeviceError("overheat", "error", "temperature"),
            DeviceError("power_fault", "error", "power"),
            DeviceError("hardware_fault", "error", "fan"),
        )

    def test_a_board_that_stands_still_is_not_up(self):
        reading = bitaxe(hashRate=0)
        assert (reading.state, reading.boards[0].up, reading.hashrate) == (MinerState.IDLE, False, 0.0)

    @pytest.mark.parametrize(("sent", "expected"), [(True, 1.0), (False, 0.0), (2, 2.0), (None, None)])
    def test_blocks_found(self, sent, expected):
        assert bitaxe(blockFound=sent).blocks_found == expected

    def test_the_target_counts_only_while_the_firmware_steers_the_fan(self):
        assert bitaxe(autofanspeed=1).temperature_target == 58
        assert bitaxe(autofanspeed=0).temperature_target is None

    def test_a_second_fan_exists_where_it_turns_or_the_board_has_one(self):
        assert [fan.fan for fan in bitaxe(fan2rpm=0).fans] == ["1"]
        assert [fan.speed for fan in bitaxe(fan2rpm=900).fans] == [3388.0, 900.0]
        assert [fan.speed for fan in bitaxe(boardVersion="303", fan2rpm=0).fans] == [3388.0, 0.0]

    @pytest.mark.parametrize("mac", ["", "XX:XX:XX:XX:XX:XX", "00:00:00:00:00:00", None])
    def test_a_mac_that_names_nobody_is_none(self, mac):
        assert bitaxe(macAddr=mac).identity.mac is None

    def test_a_changed_type_names_the_key(self):
        with pytest.raises(DecodeError, match="hashRate"):
            bitaxe(hashRate={"now": 1})

    def test_the_name_of_an_unknown_board_comes_from_its_second_page(self):
        found = Answers({"GET /api/system/asic": Answer(b'{"deviceModel": "LV9", "ASICModel": "BM1366"}')})
        named = BitaxeDriver().decode_identity(found, DecodeContext(0.0))
        known = BitaxeDriver().decode_identity(found, DecodeContext(0.0, Identity(model="Bitaxe Gamma 601")))
        nothing = BitaxeDriver().decode_identity(Answers({}), DecodeContext(0.0))
        assert (named.model, known.model, nothing.model) == ("LV9", "Bitaxe Gamma 601", None)


class TestNerdQAxe:
    def test_in_fallback_mode_the_one_listed_pool_is_the_selected_one(self):
        entry = {"connected": True, "accepted": 7, "rejected": 1, "pingRtt": 20, "pingLoss": 0.5, "poolDifficulty": 64}
        stratum = {"activePoolMode": 0, "usingFallback": True, "pools": [entry]}
        first, second = nerdqaxe(stratum=stratum).pools
        assert (first.active, first.accepted, first.up) == (False, None, None)
        assert (second.active, second.accepted, second.up) == (True, 7.0, True)
        assert (second.response_time, second.ping_loss, second.difficulty) == (0.02, 0.5, 64.0)

    def test_zero_is_no_temperature(self):
        board = nerdqaxe(asicTemps=[0, 51.5, 0, 0], temp=51.5).boards[0]
        assert [(chip.chip, chip.temperature) for chip in board.chips] == [("1", 51.5)]
        assert board.chip_temperature_min == 51.5

    def test_a_shut_down_board_is_meant_to_stand_still(self):
        reading = nerdqaxe(shutdown=True, hashRate=0)
        assert (reading.state, reading.expected_mining) == (MinerState.IDLE, False)

    def test_boards_led_over_can_are_not_counted_twice(self):
        nodes = {"nodes": [{"isMaster": True, "hashRate": 9402.5}, {"hashRate": 4697.5}]}
        can = {"enabled": True, "fleetPower": 229.0}
        led = nerdqaxe(nodes=nodes, can=can, power=152.0, hashRate=14100.0)
        untold = nerdqaxe(can=can, power=152.0, hashRate=14100.0)
        alone = nerdqaxe(can={"enabled": True, "fleetPower": 152.0}, power=152.0, hashRate=9402.5)
        assert (led.hashrate, untold.hashrate, alone.hashrate) == (9402.5e9, None, 9402.5e9)
        assert (untold.state, untold.boards[0].up) == (None, None)

    def test_the_boards_are_asked_for_only_where_there_may_be_some(self):
        driver = NerdQAxeDriver()
        keys = [request.key for request in driver.status_requests(DecodeContext(0.0, details={"can": "leads"}))]
        assert keys == [INFO, "GET /api/v2/can/nodes"]
        assert [request.key for request in driver.status_requests(DecodeContext(0.0))] == [INFO]

    @pytest.mark.parametrize("current", [{"current": 6441.2}, {"currentA": 6.4412}])
    def test_either_current(self, current):
        document = info_of("nerdqaxe/nerdqaxepp-1.0.30")
        document.pop("current")
        document.update(current)
        reading = NerdQAxeDriver().decode_status(answers(document), DecodeContext(0.0))
        assert reading.psus[0].input_current == pytest.approx(6.4412)

    def test_the_target_counts_only_in_the_mode_that_uses_it(self):
        assert nerdqaxe(autofanspeed=2).temperature_target == 58
        assert nerdqaxe(autofanspeed=1).temperature_target is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "bitaxe"),
        ({"deviceModel": "NerdQAxe++"}, "nerdqaxe"),
        ({"deviceModel": "NerdAxe"}, "nerdqaxe"),
        ({"deviceModel": "NerdOCTAXE-γ"}, "nerdqaxe"),
        ({"asicTemps": [50.0]}, "nerdqaxe"),
        ({"stratum": {"pools": []}}, "nerdqaxe"),
        ({"hostip": "192.0.2.9"}, "bitaxe"),
        ({"deviceModel": "LV9"}, "bitaxe"),
        ({"ASICModel": None}, "bitaxe"),
    ],
)
def test_one_of_the_family_claims_a_flat_answer(changes, expected):
    given = answers({**info_of("bitaxe/gamma601-2.12.2"), **changes})
    drivers = (BitaxeDriver(), NerdQAxeDriver(), NMMinerDriver())
    found = [found for driver in drivers if (found := driver.identify(given)) is not None]
    assert [one.driver_type for one in found] == [expected]
    assert found[0].specificity is Specificity.CERTAIN


@pytest.mark.parametrize("status", [401, 302, 404, 500])
def test_a_refusal_is_no_device(status):
    body = json.dumps(info_of("bitaxe/gamma601-2.12.2")).encode()
    assert BitaxeDriver().identify(Answers({INFO: Answer(body, status)})) is None


@pytest.mark.parametrize("document", [{"ASICModel": "BM1370", "boardVersion": "601"}, {"hashRate": 1.0}, ["hashRate"]])
def test_half_an_answer_is_nobodys(document):
    for driver in (BitaxeDriver(), NerdQAxeDriver(), NMMinerDriver()):
        assert driver.identify(answers(document)) is None


@pytest.mark.parametrize("message", ["Above target", "Low difficulty share"])
def test_low_difficulty_is_told_from_duplicates(message):
    (pool,) = bitaxe(
        isUsingFallbackStratum=0, fallbackStratumURL="", sharesRejectedReasons=[{"message": message, "count": 2}]
    ).pools
    assert pool.rejections == (("low_difficulty", 2.0),)
