"""The consoles of simulated NerdMiners: exact lines, states, counters, modem lines."""

import itertools
import json
import re

import pytest

from simulator.devices.nerdminer import MODELS, SCENARIOS, BoardSpec, NerdMiner
from tests.simulator.flock import NOON, shared

ROM_ESP32 = r"rst:0x1 \(POWERON_RESET\),boot:0x13 \(SPI_FAST_FLASH_BOOT\)"
ROM_S3 = r"rst:0x15 \(USB_UART_CHIP_RESET\),boot:0x8 \(SPI_FAST_FLASH_BOOT\)"
COMPLETED = r">>> Completed \d+ share\(s\), \d+ Khashes, avg\. hashrate [\d.]+ KH/s"


def console(model="devkit-1.8.3", scenario="good", seconds=30.0, **more):
    """The text of a board's first seconds, and the board."""
    board = NerdMiner(BoardSpec(model, scenario, **({"seed": 7} | more)), NOON)
    return board.output(NOON + seconds), board


def lines(data):
    return [line.rstrip("\r") for line in data.decode("latin-1").split("\n")]


def in_order(text, *patterns):
    """Assert that whole lines match the patterns, one after the other."""
    wanted = iter(patterns)
    pattern = next(wanted)
    for line in text:
        if re.fullmatch(pattern, line):
            pattern = next(wanted, None)
            if pattern is None:
                return
    raise AssertionError(f"no line {pattern!r} in its place")


# Reproducible -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_seed_gives_the_same_console_in_whatever_steps_it_is_read(model, scenario):
    whole, _ = console(model, scenario, 60.0)
    board = NerdMiner(BoardSpec(model, scenario, seed=7), NOON)
    pieces = b"".join(board.output(NOON + tick / 16) for tick in range(16 * 60 + 1))
    assert pieces == whole


def test_another_seed_gives_another_console():
    assert console(seed=7)[0] != console(seed=8)[0]


def test_due_says_when_the_next_bytes_come():
    board = NerdMiner(BoardSpec(seed=3), NOON)
    now = NOON
    for _ in range(200):
        due = board.due()
        assert due is not None
        assert board.output((now + due) / 2 if due > now else now) == b""
        board.output(due)
        now = due


def test_truth_does_not_swallow_output():
    whole, _ = console(seconds=20.0)
    board = NerdMiner(BoardSpec(seed=7), NOON)
    board.truth(NOON + 20.0)
    assert board.output(NOON + 20.0) == whole


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no NerdMiner model 'x'"):
        NerdMiner(BoardSpec("x"), NOON)
    with pytest.raises(ValueError, match="no scenario 'x'; known are good"):
        NerdMiner(BoardSpec(scenario="x"), NOON)


# Boots that succeed -----------------------------------------------------------------------------------------


def test_good_boot_of_a_classic_board_without_display():
    data, board = console("devkit-1.8.3", seconds=30.0)
    in_order(
        lines(data),
        r"ets Jul 29 2019 12:21:46",
        ROM_ESP32,
        r"entry 0x400805e4",
        r"NerdMiner v2 starting\.{6}",
        r"No display driver initialized",
        r"DEBUG: Attempting to read custom AP name from flash at 0x3F0000\.\.\.",
        r"DEBUG: Raw flash data: '\xff{128}.*'",
        r"DEBUG: Using default AP name",
        r"SPIFS: Mounting File System\.\.\.",
        r"SPIFS: Mounted",
        r"SPIFS: Loading config file",
        r"\{",
        r'  "poolString": "pool\.example\.com",',
        r'  "portNumber": 21496,',
        r'  "poolPassword": "pool-secret-\d{8}",',
        r'  "Brightness": 250',
        r"\}",
        r"\*wm:\[ERROR\] parameter IDs can only contain alpha numeric chars ",
        r"AllDone: ",
        r"\*wm:Connecting to SAVED AP: net-\d+",
        r"\*wm:AutoConnect: SUCCESS ",
        r"\*wm:STA IP Address: 192\.0\.2\.\d+",
        r"WiFi connected",
        r"PoolString: pool\.example\.com",
        r"poolPassword: pool-secret-\d{8}",
        r"TimeZone fromUTC: 2",
        r"PoolString: pool\.example\.com",
        r"Initiating tasks\.\.\.",
        r"\[MONITOR\] started",
        r"\[WORKER\] Started\. Running \(Stratum\) on core 1",
        r"Client not connected, trying to connect\.\.\.",
        r"\[MINER\] 0 Started minerWorkerHwEsp32D Task!",
        r"\[MINER\] 1 Started minerWorkerSw Task!",
        r"\[WORKER\] ==> Mining subscribe",
        r'  Sending  : \{"id": 1, "method": "mining\.subscribe", "params": \["NerdMinerV2/V1\.8\.3"\]\}',
        r"    extranonce2_size: 8",
        r"\[WORKER\] ==> Autorize work",
        r'  Sending  : \{"params": \["bc1qexample\d+\.rig07", "pool-secret-\d{8}"\], "id": 2, .*\}',
        r'  Receiving: \{"id":2,"error":null,"result":true\}',
        r"    Parsing Method \[SET DIFFICULTY\]",
        r"    difficulty: 0\.001500000000",
        r"    Parsing Method \[MINING NOTIFY\]",
        COMPLETED,
        r">>> Valid blocks: 0",
        r">>> Block templates: 1",
        r">>> Best difficulty: \d+\.\d{4}",
        r">>> 32Bit shares: 0",
        r">>> Temperature: \d\d",
        r">>> Total MHashes: \d+",
        r">>> Time mining: 0  00:00:\d\d",
    )
    truth = board.truth(NOON + 30.0)
    assert (truth["status"], truth["state"], truth["boots"]) == ("Active", "Mining", 1)
    assert truth["firmware_version"] == "V1.8.3"
    assert truth["flags"] == []
    assert len(truth["milestones"]) == 8


def test_connected_and_resolved_lines_stand_in_the_boot():
    text = lines(console()[0])
    assert any(re.fullmatch(r"CONNECTED - Current ip: 192\.0\.2\.\d+", line) for line in text)
    assert any(re.fullmatch(r"Resolved DNS and save ip \(first time\) got: 198\.51\.100\.\d+", line) for line in text)


def test_good_boot_of_1_6_2_has_other_words_and_a_glued_document():
    data, board = console("devkit-1.6.2")
    text = lines(data)
    in_order(
        text,
        r"Mounting File System\.\.\.",
        r"mounted file system",
        r"reading config file",
        r"Opened configuration file",
        r'  "saveStatsToNVS": "0"',
        r"\}Parsing JSON",
        r"\*wm:AutoConnect: SUCCESS ",
        r"\[MINER\]  0  Started runMiner Task!",
        r'  Sending  : \{"id": 1, "method": "mining\.subscribe", "params": \["NerdMinerV2"\]\}',
        r"  Received message from pool",
        r"  Parsed JSON: Success",
    )
    assert not [line for line in text if "SPIFS" in line or "poolPassword" in line or "minerWorker" in line]
    assert sum(line.startswith("PoolString") for line in text) == 1
    assert board.truth(NOON + 30.0)["firmware_version"] is None


def test_1_7_0_mixes_two_tasks_in_one_line():
    data, _ = console("t-display-s3-1.7.0")
    in_order(
        lines(data),
        ROM_S3,
        r"poolAPIUrl: https?://.*/client/Resolved DNS and save ip \(first time\) got: [\d.]+",
        r"",
        r"CONNECTED - Current ip: [\d.]+",
        r"TimeClient NTPupdateTime " + COMPLETED,
    )


def test_s3_of_1_8_3_has_its_own_hardware_task():
    text = lines(console("t-display-s3-1.8.3")[0])
    in_order(text, ROM_S3, r"\[MINER\] 0 Started minerWorkerHw Task!", COMPLETED)
    assert not any(line.startswith(">>> Valid blocks") for line in text)


def test_ssd1306_has_its_own_line():
    text = lines(console("t3-head", seconds=40.0)[0])
    in_order(text, r"SSD1306 128x64 display driver initialized", r'  "portNumber": 3333,')
    in_order(text, r">>> Hashrate: 3\d\d\.\d KH/s \| Shares: \d+ \| Best diff: \d+\.\d{4}")
    assert not any(">>> Completed" in line for line in text)


def test_ends_of_lines_are_the_firmwares():
    data, _ = console()
    assert b"NerdMiner v2 starting......\r\n" in data
    assert re.search(rb"\}\n\*wm:", data)
    assert re.search(rb"\n\[WORKER\] ==> Autorize work\n", data)
    assert re.search(rb"KH/s\n>>> Valid", data)
    assert b"chars \r\n" in data


# Scenarios --------------------------------------------------------------------------------------------------

DNS_FAILED = r"\[ *\d+\]\[E\]\[WiFiGeneric\.cpp:1583\] hostByName\(\): DNS Failed for pool\.example\.com"
SOCKET = r'\[ *\d+\]\[E\]\[WiFiClient\.cpp:275\] connect\(\): socket error on fd 48, errno: 104, ".*"'
REFUSED = r"Imposible to connect to : pool\.example\.com"
PORTAL = (
    r"\*wm:StartAP with SSID:  NerdMinerAP",
    r"\*wm:AP IP address: 192\.168\.4\.1",
    r"Entered Configuration Mode",
    r"Config SSID: NerdMinerAP",
    r"Config IP Address: 192\.168\.4\.1",
    r"\*wm:Starting Web Portal ",
)
SOFTWARE = r"rst:0xc \(SW_CPU_RESET\),boot:0x13 \(SPI_FAST_FLASH_BOOT\)"
NO_DATA = r"  Detected more than 2 min without data form stratum server\. Closing socket and reopening\.\.\."
#: Scenario, model, seconds, lines in order, state at the end, flags, what was seen.
CASES = [
    (
        "wrong_wifi", "devkit-1.8.3", 240.0,
        (r"\*wm:AutoConnect: FAILED for  405\d\d ms", *PORTAL, r"\*wm:config portal has timed out ",
         r"Failed to connect to configured WIFI, and hit timeout", SOFTWARE),
        "Booting", [], ["setup_portal"],
    ),
    (
        "wrong_wifi", "devkit-1.6.2", 60.0,
        (*PORTAL, r"Failed to connect and hit timeout", r"Initiating tasks\.\.\.", r"\[Error\] - current status: 6"),
        "MINER HW Task Started", ["setup_portal"], ["setup_portal"],
    ),
    (
        "no_config", "devkit-1.8.3", 200.0,
        (r"\[ *\d+\]\[E\]\[SPIFFS\.cpp:96\] begin\(\): Mounting SPIFFS failed! Error: -1",
         r"SPIFS: No config file available!", *PORTAL, r"\*wm:config portal exiting ", r"btcString: yourBtcAddress",
         r"Initiating tasks\.\.\.", r".* / wificonnected>false"),
        "MINER HW Task Started", ["no_config", "setup_portal"], ["no_config", "setup_portal"],
    ),
    (
        "no_config", "t-display-s3-1.7.0", 190.0,
        (*PORTAL, r"failed to connect and hit timeout", r"SPIFS: Saving configuration\.",
         r'  "btcString": "yourBtcAddress",', r"rst:0xc .*", r"SPIFS: Loading config file"),
        "Booting", [], ["no_config", "setup_portal"],
    ),
    (
        "no_config", "devkit-1.6.2", 4000.0,
        (r"Forcing config mode as there is no saved config", *PORTAL),
        "Booting", ["no_config", "setup_portal"], ["no_config", "setup_portal"],
    ),
    (
        "portal_saved", "devkit-1.8.3", 100.0,
        (*PORTAL, r"Should save config", r"\*wm:Connect to new AP \[SUCCESS\] ", r"SPIFS: Saving configuration\.",
         r'  "poolPassword": "x",', SOFTWARE, COMPLETED),
        "Mining", [], ["no_config", "setup_portal"],
    ),
    (
        "corrupt_config", "devkit-1.8.3", 60.0,
        (r"SPIFS: Loading config file", r"null", r"SPIFS: Error parsing config file!", *PORTAL),
        "Booting", ["config_corrupt", "setup_portal"], ["config_corrupt", "setup_portal"],
    ),
    (
        "corrupt_config", "devkit-1.6.2", 60.0,
        (r"Opened configuration file", r"nullFailed to load json config",
         r"Forcing config mode as there is no saved config", *PORTAL),
        "Booting", ["config_corrupt", "no_config", "setup_portal"], ["config_corrupt", "no_config", "setup_portal"],
    ),
    (
        "sd_card", "cyd-1.8.3", 20.0,
        (r"SDCard: Inserted\.", r"NerdMiner v2 starting\.{6}", r"SDCard: Loading config file",
         r'  "WifiPW": "wifi-secret-\d{8}",', r"Carteira Lida SDs:bc1qexample\d+\.rig07",
         r"SPIFS: Saving configuration\.",
         r"SDCard: Settings transfered to internal memory\. Restarting now\.", SOFTWARE, COMPLETED),
        "Mining", [], ["no_config"],
    ),
    (
        "dns_failure", "devkit-1.8.3", 20.0,
        (DNS_FAILED, r"Resolved DNS and save ip \(first time\) got: 0\.0\.0\.0", SOCKET, REFUSED,
         r"Resolved DNS got: 0\.0\.0\.0", r"Client not connected, trying to connect\.\.\.", REFUSED),
        "CONNECTED IP", ["dns_failure", "pool_unreachable"], ["dns_failure", "pool_unreachable"],
    ),
    (
        "pool_refused", "devkit-1.8.3", 20.0,
        (r"Resolved DNS and save ip \(first time\) got: [\d.]+", SOCKET, REFUSED, r"Resolved DNS got: [\d.]+",
         r">>> \[i\] Miner: newJob>true / inRun>false\) - Client: connected>false / .* / wificonnected>true"),
        "DNS Resolved", ["pool_unreachable"], ["pool_unreachable"],
    ),
    (
        "pool_lost", "devkit-1.8.3", 60.0,
        (COMPLETED, r"Client not connected, trying to connect\.\.\.", REFUSED),
        "Mining", ["pool_unreachable"], ["pool_unreachable"],
    ),
    (
        "subscribe_aborted", "devkit-1.8.3", 20.0,
        (r"\[WORKER\] ==> Mining subscribe", r"    extranonce1: ", r"\[WORKER\] >{9} Work aborted",
         r"extranonce1 length: 0 ", r"Client not connected, trying to connect\.\.\."),
        "Mining Subscribe", [], ["subscribe_aborted"],
    ),
    (
        "authorize_refused", "devkit-1.8.3", 90.0,
        (r"\[WORKER\] ==> Autorize work", r'  Receiving: .*"error":\[24,"Unauthorized worker",null\]\}',
         r"ERROR: 24 \| reason: Unauthorized worker ", r"  Sending  : KeepAlive suggest_difficulty", NO_DATA,
         r"\[WORKER\] ==> Mining subscribe"),
        "Mining Authorize", ["authorize_refused"], ["authorize_refused", "pool_error"],
    ),
    (
        "guru", "devkit-1.8.3", 20.0,
        (r"\[MONITOR\] started", r"Guru Meditation Error: Core  1 panic'ed \(Unhandled debug exception\)\. ",
         r"Backtrace: 0x[0-9a-f]{8}:0x[0-9a-f]{8} .*CORRUPTED", r"Rebooting\.\.\.", SOFTWARE, r"Rebooting\.\.\."),
        "Booting", ["crashed"], ["crashed"],
    ),
    (
        "brownout", "devkit-1.8.3", 50.0,
        (COMPLETED, r"Brownout detector was triggered", r"rst:0xf \(RTCWDT_BROWN_OUT_RESET\),.*", COMPLETED),
        "Mining", [], ["brownout", "crashed"],
    ),
    (
        "block_found", "devkit-1.8.3", 40.0,
        (r"   - Current diff share: \d{15}\.\d{12}", r"CONGRATULATIONS! Valid block found", r">>> Valid blocks: 1",
         r">>> Best difficulty: \d{3}\.\d{3}T", r">>> 32Bit shares: 1"),
        "Mining", [], ["block_found"],
    ),
    (
        "block_found", "devkit-1.6.2", 40.0,
        (r"\[WORKER\] 0 CONGRATULATIONS! Valid block found with nonce: \d+ \| 0x[0-9a-f]+",
         r"\[WORKER\]  0  Submitted work valid!", r">>> Completed 1 share\(s\), .*"),
        "Mining", [], ["block_found"],
    ),
    (
        "config_wiped", "devkit-1.8.3", 60.0,
        (COMPLETED, r"Erasing Config, restarting", r"SPIFS: Erasing config file\.\.",
         r"\[MONITOR\] Resetting NVS stats", r"\*wm:SETTINGS ERASED ", SOFTWARE, r"SPIFS: No config file available!",
         *PORTAL),
        "Booting", ["no_config", "setup_portal"], ["config_wiped", "no_config", "setup_portal"],
    ),
    (
        "wifi_lost", "devkit-1.8.3", 60.0,
        (COMPLETED, r"\[Error\] - current status: 5", r".* / wificonnected>false", r"CONNECTED - Current ip: .*",
         r"\[WORKER\] ==> Mining subscribe", COMPLETED),
        "Mining", [], ["wifi_lost"],
    ),
    (
        "download_mode", "devkit-1.8.3", 60.0,
        (r"rst:0x1 \(POWERON_RESET\),boot:0x3 \(DOWNLOAD_BOOT.*", r"waiting for download"),
        "Booting", ["download_mode"], ["download_mode"],
    ),
    (
        "cdc_loss", "stamp-s3-1.6.3", 60.0,
        (r"SPIFS: Loading config file", COMPLETED),
        "Mining", [], [],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "model", "seconds", "wanted", "state", "flags", "seen"),
    CASES,
    ids=[f"{case[0]}-{case[1]}" for case in CASES],
)
def test_scenario(scenario, model, seconds, wanted, state, flags, seen):
    data, board = console(model, scenario, seconds)
    in_order(lines(data), *wanted)
    truth = board.truth(NOON + seconds)
    assert (truth["state"], truth["flags"], truth["seen"]) == (state, flags, seen)
    assert truth["status"] == ("Active" if state == "Mining" else "Initializing")
    assert truth["boots"] == len(re.findall(rb"rst:0x", data))
    shown = re.findall(rb'"poolString": "([^"]*)"', data)
    gone = {"no_config", "config_corrupt"} & set(flags) or not shown
    assert (truth["config"] or {}).get("poolString") == (None if gone else shown[-1].decode())


def test_every_scenario_has_a_test():
    assert set(SCENARIOS) == {case[0] for case in CASES} | {"good", "noise"}


def test_a_silent_board_stays_silent():
    data, board = console(scenario="download_mode", seconds=10.0)
    assert data.endswith(b"waiting for download\r\n")
    assert board.due() is None
    assert board.output(NOON + 1000.0) == b""


def test_noise_has_floods_garbage_and_a_line_that_does_not_end():
    data, board = console(scenario="noise", seconds=120.0)
    assert b"\xff" * 4096 in data
    assert max(len(line) for line in data.split(b"\n")) >= 100_000
    assert not re.search(rb"Resolved DNS[^\n]*: \d+\.\d+", data)
    assert board.truth(NOON + 120.0)["state"] == "Mining"


def test_lossy_console_cuts_and_glues():
    whole, _ = console("stamp-s3-1.6.3", "good", 60.0)
    cut, board = console("stamp-s3-1.6.3", "cdc_loss", 60.0)
    assert len(cut) < len(whole)
    assert any(re.search(r".>>> Completed", line) and "NTPupdateTime" not in line for line in lines(cut))
    assert board.truth(NOON + 60.0)["state"] == "Mining"


def test_secrets_are_on_the_console_and_not_in_the_truth():
    data, board = console("cyd-1.8.3", "sd_card", 30.0)
    password, wifi = board.secrets()
    assert password.encode() in data
    assert wifi.encode() in data
    text = json.dumps(board.truth(NOON + 30.0))
    assert password not in text
    assert wifi not in text


# Counters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_hash_rate_is_the_models_and_fits_the_counter(model):
    data, board = console(model, seconds=120.0)
    nameplate = MODELS[model].profile.hashrate
    truth = board.truth(NOON + 120.0)
    assert 0.9 * nameplate < truth["hashrate_hs"] < 1.1 * nameplate
    assert 0.9 * nameplate < truth["printed_hashrate_hs"] < 1.1 * nameplate
    counts = [int(word) for word in re.findall(rb"\), (\d+) Khashes", data)]
    if counts:
        assert counts == sorted(counts)
        assert counts[-1] == truth["khashes"]
        assert (counts[-1] - counts[-31]) / 30.0 == pytest.approx(nameplate / 1e3, rel=0.1)


def test_shares_on_the_console_are_the_shares_of_the_truth():
    data, board = console(seconds=600.0, difficulty=0.0004)
    submitted = {int(word) for word in re.findall(rb'"id":(\d+),"method":"mining.submit"', data)}
    accepted = {int(word) for word in re.findall(rb'Receiving: \{"id":(\d+),"error":null,"result":true\}', data)}
    rejected = {int(word) for word in re.findall(rb"Refuse submition (\d+)", data)}
    reasons = re.findall(rb"ERROR: 23 \| reason: Difficulty too low \n", data)
    truth = board.truth(NOON + 600.0)
    assert len(submitted & accepted) == truth["accepted"] > 50
    assert len(rejected) == len(reasons) == truth["rejected"] > 0
    assert rejected <= submitted
    assert data.count(b"   - TX SHARE: ") == len(submitted)
    best = max(float(word) for word in re.findall(rb"Current diff share: ([\d.]+)", data))
    assert truth["best_difficulty"] == pytest.approx(best, abs=1e-9)
    assert data.count(b"MINING NOTIFY") == truth["templates"] > 10


def test_rejects_of_old_firmware_have_no_line_of_their_own():
    data, board = console("devkit-1.6.2", seconds=4000.0, difficulty=0.0002)
    assert b"Refuse submition" not in data
    assert data.count(b"  Parsed JSON: error on JSON\r\n") == board.truth(NOON + 4000.0)["rejected"] > 0


def test_the_counter_of_hashes_wraps_at_32_bits():
    data, board = console(seconds=60.0, khashes=2**32 - 5000)
    counts = [int(word) for word in re.findall(rb"\), (\d+) Khashes", data)]
    drops = [pair for pair in itertools.pairwise(counts) if pair[1] < pair[0]]
    assert len(drops) == 1
    assert drops[0][0] > 2**32 - 5000
    assert counts[-1] == board.truth(NOON + 60.0)["khashes"] < 50_000


def test_counters_start_again_at_a_reset_and_the_totals_go_on():
    data, board = console(seconds=200.0, difficulty=0.0004)
    before = board.truth(NOON + 200.0)
    board.reset(NOON + 200.0)
    text = board.output(NOON + 212.0)
    assert re.match(rb"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 ", text)
    after = board.truth(NOON + 212.0)
    assert after["boots"] == 2
    assert after["khashes"] < before["khashes"]
    assert after["accepted_ever"] == before["accepted_ever"] + after["accepted"]
    assert data


def test_a_board_that_mined_before_shows_no_boot():
    board = NerdMiner(BoardSpec(seed=4, uptime=86_400.0), NOON)
    data = board.output(NOON + 5.0)
    truth = board.truth(NOON + 5.0)
    assert b"rst:" not in data
    assert re.search(rb">>> Time mining: (0  23:59|1  00:00):\d\d", data)
    assert (truth["status"], truth["boots"]) == ("Active", 0)
    assert truth["hashes"] == pytest.approx(86_400 * 335e3, rel=0.01)


def test_scenarios_can_be_changed_while_it_runs():
    _, board = console(seconds=30.0)
    board.set_scenario("corrupt_config", NOON + 30.0)
    assert b"SPIFS: Error parsing config file!" in board.output(NOON + 40.0)
    assert "config_corrupt" in board.truth(NOON + 40.0)["flags"]
    with pytest.raises(ValueError, match="no scenario"):
        board.set_scenario("nothing", NOON + 41.0)


# Modem lines ------------------------------------------------------------------------------------------------


def running(model="devkit-1.8.3"):
    """A mining board as an open port leaves it: both lines asserted."""
    board = NerdMiner(BoardSpec(model, seed=7, uptime=100.0), NOON)
    board.set_lines(NOON, dtr=True, rts=True)
    return board


def test_releasing_rts_first_and_dtr_at_once_does_nothing():
    board = running()
    board.set_lines(NOON + 1.0, dtr=True, rts=False)
    board.set_lines(NOON + 1.01, dtr=False, rts=False)
    assert b"rst:" not in board.output(NOON + 60.0)


def test_releasing_dtr_alone_holds_the_chip_in_reset_until_rts_follows():
    board = running()
    board.output(NOON + 1.0)
    board.set_lines(NOON + 1.0, dtr=False, rts=True)
    assert board.output(NOON + 20.0) == b""
    assert board.truth(NOON + 20.0)["held_in_reset"]
    board.set_lines(NOON + 20.0, dtr=False, rts=False)
    assert b"SPI_FAST_FLASH_BOOT" in board.output(NOON + 21.0)


def test_a_boot_pin_left_low_for_five_seconds_erases_a_board_with_one_button():
    board = running()
    board.set_lines(NOON + 1.0, dtr=True, rts=False)
    data = board.output(NOON + 20.0)
    assert b"Erasing Config, restarting\r\n" in data
    assert "config_wiped" in board.truth(NOON + 20.0)["seen"]
    safe = running("t-display-s3-1.8.3")
    safe.set_lines(NOON + 1.0, dtr=True, rts=False)
    assert b"Erasing" not in safe.output(NOON + 20.0)


@pytest.mark.parametrize("model", ["devkit-1.8.3", "t-display-s3-1.8.3"])
def test_the_flash_tools_order_ends_in_the_loader(model):
    board = running(model)
    if model == "devkit-1.8.3":
        board.set_lines(NOON + 1.0, dtr=False, rts=True)
        board.set_lines(NOON + 1.1, dtr=True, rts=False)
    else:
        board.set_lines(NOON + 1.0, dtr=True, rts=False)
        board.set_lines(NOON + 1.1, dtr=False, rts=True)
    assert board.output(NOON + 10.0).endswith(b"waiting for download\r\n")
    board.set_lines(NOON + 10.0, dtr=False, rts=False)
    board.set_lines(NOON + 10.1, dtr=False, rts=True)
    board.set_lines(NOON + 10.2, dtr=False, rts=False)
    assert b"NerdMiner v2 starting......" in board.output(NOON + 12.0)


# Against recorded shapes ------------------------------------------------------------------------------------

#: A key of the SD card that the recorded card did not have.
ELSEWHERE = {'"PoolPassword": <v>'}
KEYS = (
    "PoolString: |poolPassword: |btcString: |Carteira Lida SDs:|NEW AP: |SAVED AP: |DNS Failed for |connect to : "
    '|"(?:poolString|poolPassword|btcString|SSID|WifiPW|PoolUrl|PoolPassword|BtcWallet)": '
)


def unglued(line):
    """A line without prints of other tasks that ended no line."""
    return re.sub(r"^(TimeClient NTPupdateTime |null(?=.))", "", line).strip()


def shape(line):
    """A line without its numbers, documents and names."""
    line = unglued(line)
    line = re.sub(r"^rst:\S+ \(\w+\),boot:\S+ \(.+\)$", "rst", line)
    line = re.sub(r"\{.+\}", "{}", line)
    line = re.sub(rf"({KEYS})(.*?)(,?)$", r"\1<v>\3", line)
    line = re.sub(r"https?://\S+/client/", "<url>", line)
    line = re.sub(r"(details|extranonce1): [0-9a-z]*$", r"\1: <n>", line)
    line = re.sub(r"data: '.*", "data: '", line)
    line = re.sub(r"\b(true|false)\b", "<b>", line)
    line = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{16,}\b|-?\d[\d.]*[KMGTPE]?", "<n>", line)
    line = re.sub(r"\[ *<n>\]", "[<n>]", line)
    return line.strip().rstrip(",")


def reference_patterns(text):
    """The formats in the table of lines, as patterns."""
    table = text[text.index("### 1.1") : text.index("### 1.3")]
    for code in re.findall(r"`([^`]+)`", table):
        parts = re.split(r"(%[-+ 0]*\d*(?:\.\d+)?l*[a-zA-Z]|<[^>]+>|…|\\n)", code.strip())
        body = "".join(".*" if place % 2 else re.escape(part) for place, part in enumerate(parts))
        # Words that occur anywhere are no lines.
        if len(re.sub(r"[^A-Za-z]", "", code)) >= 6:
            yield re.compile(body.strip() + r"\s*")


#: Whole lines; glued lines of the S3 and the texts of noise have shapes of their own.
EXACT = [name for name in SCENARIOS if name not in ("noise", "cdc_loss")]


def recorded_lines():
    """Whether a line occurs among the recorded ones or the documented formats."""
    folder = shared("transcripts")
    known = {shape(line) for path in folder.glob("*.bin") for line in lines(path.read_bytes())} | ELSEWHERE
    patterns = list(reference_patterns(shared("reference", "nerdminer.md").read_text()))
    return lambda line: shape(line) in known or any(pattern.fullmatch(unglued(line)) for pattern in patterns)


@pytest.mark.parametrize("model", MODELS)
def test_every_line_has_a_recorded_shape(model):
    recorded = recorded_lines()
    texts = (lines(console(model, scenario, 250.0)[0]) for scenario in EXACT)
    assert sorted({line for text in texts for line in text if not recorded(line)}) == []


def test_invented_lines_are_noticed():
    recorded = recorded_lines()
    for line in ("WiFi is fine", ">>> Completed shares: 3", "[WORKER] ==> Mining Authorize", "Rebooting"):
        assert not recorded(line)


def test_boot_text_is_the_recorded_one_up_to_values():
    recorded = lines(shared("transcripts", "01_good_esp32_v183.bin").read_bytes())
    ours = lines(console("devkit-1.8.3", seconds=30.0)[0])
    upto = recorded.index("[MONITOR] started")
    start = ours.index("[MONITOR] started")
    assert [shape(line) for line in ours[: start + 1]] == [shape(line) for line in recorded[: upto + 1]]
