"""The MM strings of Avalon miners as tokens, boards, chips and errors."""

import pytest

from exporter.drivers.families.avalon_boards import decode_boards, decode_chips
from exporter.drivers.families.avalon_errors import decode_errors
from exporter.drivers.families.avalon_mm import MAX_TEXT, Module, find_modules, merge_modules, parse_tokens
from exporter.errors import DecodeError


def module(text: str, name: str = "0") -> Module:
    return Module(name, parse_tokens(text))


def test_values_hold_blanks_colons_and_nothing():
    tokens = parse_tokens("Ver[1246-81-21] SYSTEMSTATU[Work: In Work, Hash Board: 3 ]  FACOPTS0[] Nonce Mask[25]")
    assert tokens == {
        "Ver": "1246-81-21",
        "SYSTEMSTATU": "Work: In Work, Hash Board: 3",
        "FACOPTS0": "",
        "Nonce Mask": "25",
    }


def test_wrapped_strings_are_unwrapped():
    assert parse_tokens("'STATS':{Ver[Q-1] PING[17]}") == {"Ver": "Q-1", "PING": "17"}
    assert parse_tokens("'HB0':{PVT_T0[ 58  59] PVT_V0[1 2]}") == {"PVT_T0": "58  59", "PVT_V0": "1 2"}


def test_a_cut_token_is_left_out():
    assert parse_tokens("TMax[88] TAvg[8") == {"TMax": "88"}


@pytest.mark.parametrize("text", ["", "garbage", "[12]", "a" * (MAX_TEXT + 1)])
def test_what_is_no_such_string_is_an_error(text):
    with pytest.raises(DecodeError):
        parse_tokens(text)


def test_too_many_keys_are_an_error():
    with pytest.raises(DecodeError, match="too many"):
        parse_tokens(" ".join(f"K{number}[1]" for number in range(2000)))


def test_numbers():
    found = module("FanR[36%] DH[1.3%] GHSspd[nan] MPO[-] PS[0 -1 2.5] MGHS[nan nan] MH[x y]")
    assert found.number("FanR") == 36.0
    assert found.number("GHSspd") is None
    assert found.number("MPO") is None
    assert found.number("absent") is None
    assert found.numbers("PS") == (0.0, -1.0, 2.5)
    assert found.numbers("MGHS") == ()
    with pytest.raises(DecodeError, match="MH"):
        found.numbers("MH")


@pytest.mark.parametrize(("text", "air", "chip"), [("-273", None, None), ("-83", None, None), ("0", 0.0, None)])
def test_sensors_that_are_not_there(text, air, chip):
    found = module(f"T[{text}]")
    assert found.air_temperature("T") == air
    assert found.chip_temperature("T") == chip


def test_modules_of_one_bus_keep_their_number():
    records = [{"ID": "AV80", "MM ID1": "Ver[8]", "MM ID2": "Ver[8]"}, {"ID": "POOL0"}]
    assert [found.name for found in find_modules(records)] == ["1", "2"]


def test_modules_of_several_buses_are_told_apart():
    records = [{"MM ID1": "Ver[7]"}, {"MM ID1": "Ver[7]"}, {"ID": "POOL0"}]
    assert [found.name for found in find_modules(records)] == ["0-1", "1-1"]


def test_a_module_that_is_no_text_is_an_error():
    with pytest.raises(DecodeError, match="MM ID0"):
        find_modules([{"MM ID0": 5}])


def test_the_fuller_answer_wins():
    merged = merge_modules((module("OTemp[50] Ver[x]"),), (module("OTemp[1] RSSI[-60]"),))
    assert dict(merged[0].tokens) == {"OTemp": "50", "Ver": "x", "RSSI": "-60"}
    assert merge_modules((), (module("A[1]"),))[0].tokens == {"A": "1"}


# --- boards ---------------------------------------------------------------------------------------------------


def test_the_only_board_has_the_miners_rate():
    board = decode_boards((module("TA[12] MGHS[6300.5] GHSspd[6100.25] MTmax[95] MTavg[88]"),), hashing=True)[0]
    assert board.hashrate == 6100.25e9
    assert (board.up, board.chips_working, board.chip_temperature_max) == (True, 12.0, 95.0)


def test_averages_do_not_make_an_idle_board_hash():
    boards = decode_boards((module("TA[4] MGHS[100.0 100.0] GHSspd[0]"),), hashing=False)
    assert [(board.up, board.hashrate) for board in boards] == [(False, 0.0), (False, 0.0)]


def test_a_slot_without_a_board():
    text = "TA[2] MGHS[50.0 0.00] MTmax[80 -273] MTavg[70 0] PVT_T0[60 80] PVT_T1[-273 -273] MH[1 0]"
    board, missing = decode_boards((module(text),), hashing=True)
    assert (board.chips_working, board.chips_expected, board.chip_temperature_min) == (2.0, 2.0, 60.0)
    assert (missing.up, missing.chips_working, missing.chips_expected) == (False, 0.0, 2.0)
    assert missing.chip_temperature_avg is None


def test_a_chip_that_does_not_answer_is_no_cold_chip():
    board = decode_boards((module("TA[4] MGHS[1 1] PVT_T0[60 -273] PVT_T1[61 62]"),), hashing=True)[0]
    assert (board.chips_working, board.chips_expected, board.chip_temperature_min) == (1.0, 2.0, 60.0)


def test_a_module_of_the_a7_is_a_board():
    text = "Ver[7411706-1] DNA[01ab] GHSmm[7000.0] WU[1] TA[88] TMax[93] PVT_T[21-76/1-88/83 1-80/11-93/85] HW[2]"
    board = decode_boards((module(text, "3"),), hashing=True)[0]
    assert (board.board, board.serial, board.up, board.hashrate) == ("3", "01ab", True, None)
    assert board.hashrate_expected == 7000.0e9
    temperatures = (board.chip_temperature_min, board.chip_temperature_avg, board.chip_temperature_max)
    assert temperatures == (76.0, 84.0, 93.0)


def test_chips():
    boards = decode_chips(module("TA[4] MGHS[1 0] PVT_T0[60 -273] PVT_V0[290 0] PVT_T1[-273 -273]"))
    first, second = boards[0].chips
    assert (first.chip, first.temperature, first.voltage) == ("0", 60.0, 0.29)
    assert (second.temperature, second.voltage) == (None, None)
    assert boards[1].chips == ()


# --- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "home", "codes"),
    [
        ("ECHU[0 0 0] ECMM[0] CRC[0] PS[0 1 2]", False, []),
        ("ECHU[64 0 0]", False, ["hash_unit_too_hot"]),
        ("ECHU[1 0 0]", False, []),
        ("ECHU[0 0 131073]", False, ["hash_unit_bit_17"]),
        ("ECHU[64]", True, ["hash_unit_bit_6"]),
        ("ECMM[4]", False, ["controller_bit_2"]),
        (
            "CRC[0 3] HASHS[0 1] POWS[2] POW_I2C[FAILED]",
            False,
            ["chip_crc", "hash_board_status", "power_status", "power_i2c"],
        ),
        ("PS[5 0 0 0 0 0 0] FanErr[1]", True, ["fan_error", "power_supply"]),
        ("ECHU[-1]", False, []),
    ],
)
def test_errors(text, home, codes):
    assert [error.code for error in decode_errors((module(text),), home=home)] == codes
