"""Every line of a NerdMiner's console, alone, glued and cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.protocols.nerdminer_events import (
    Boot,
    BootMarker,
    Detail,
    DnsFailed,
    Figure,
    Job,
    Method,
    Monitor,
    PoolAddress,
    PoolDifficulty,
    PoolError,
    Progress,
    Reply,
    Seen,
    Sent,
    ShareDifficulty,
    ShareRefused,
    Signal,
    Version,
)
from exporter.protocols.nerdminer_lines import parse_line
from tests.protocols.nerdminer_consoles import CONSOLES, PASSWORD, USER

SIGNALS = {
    "[WORKER] Started. Running (Stratum) on core 1": Signal.WORKER,
    "[WORKER] Started. Running (0) on core 0": Signal.WORKER,
    "[MINER]  0  Started runMiner Task!": Signal.HARDWARE,
    "[MINER] 0 Started minerWorkerSw Task!": Signal.HARDWARE,
    "[MINER] 0 Started minerWorkerHw Task!": Signal.HARDWARE,
    "[MINER] 0 Started minerWorkerHwEsp32D Task! on core 0": Signal.HARDWARE,
    "CONNECTED - Current ip: 192.0.2.7": Signal.CONNECTED,
    "[Error] - current status: 6": Signal.WIFI_DOWN,
    "Resolved DNS and save ip (first time) got: 198.51.100.4": Signal.DNS_RESOLVED,
    "Resolved DNS got: 203.0.113.255": Signal.DNS_RESOLVED,
    "Imposible to connect to : pool.example.com": Signal.POOL_UNREACHABLE,
    "[WORKER] ==> Mining subscribe": Signal.SUBSCRIBE,
    "[WORKER] 0 ==> Mining subscribe": Signal.SUBSCRIBE,
    "[WORKER] >>>>>>>>> Work aborted": Signal.SUBSCRIBE_ABORTED,
    "[WORKER] ==> Autorize work": Signal.AUTHORIZE,
    "CONGRATULATIONS! Valid block found": Signal.BLOCK_FOUND,
    "[WORKER] 0 CONGRATULATIONS! Valid block found with nonce: 7 | 0x7": Signal.BLOCK_FOUND,
    "[WORKER] 1 CONGRATULATIONS! Valid completed with nonce: 7 | 0x7": Signal.BLOCK_FOUND,
    "*wm:AutoConnect: SUCCESS ": Signal.WIFI_UP,
    "*wm:STA IP Address: 192.0.2.7": Signal.WIFI_UP,
    "*wm:Connect to new AP [SUCCESS] ": Signal.WIFI_UP,
    "*wm:AutoConnect: FAILED for  40562 ms": Signal.WIFI_DOWN,
    "*wm:[ERROR] Connect to new AP Failed ": Signal.WIFI_DOWN,
    "*wm:StartAP with SSID:  HanSoloAP": Signal.PORTAL,
    "Entered Configuration Mode": Signal.PORTAL,
    "Button pressed to force start config mode": Signal.PORTAL,
    "SPIFS: No config file available!": Signal.NO_CONFIG,
    "Forcing config mode as there is no saved config": Signal.NO_CONFIG,
    "SPIFS: Error parsing config file!": Signal.CONFIG_CORRUPT,
    "Failed to load json config": Signal.CONFIG_CORRUPT,
    "Failed to mount FS": Signal.CONFIG_CORRUPT,
    "Erasing Config, restarting": Signal.CONFIG_WIPED,
    "waiting for download": Signal.DOWNLOAD,
    "Guru Meditation Error: Core  1 panic'ed (Unhandled debug exception). ": Signal.CRASH,
    "abort() was called at PC 0x40081234 on core 0": Signal.CRASH,
    "CORRUPT HEAP: Bad head at 0x3ffd5e90": Signal.CRASH,
    "Brownout detector was triggered": Signal.CRASH,
    "[W/INFO] Resolving pool address pool.example.com to IP 198.51.100.4": Signal.DNS_RESOLVED,
    "[10/11 12:13:14:567] stratum: resolving [pool.example.com] -> [198.51.100.4]": Signal.DNS_RESOLVED,
}

OTHERS = {
    "ets Jul 29 2019 12:21:46": Boot(BootMarker.BANNER),
    "ets Jun  8 2016 00:22:57": Boot(BootMarker.BANNER),
    "ESP-ROM:esp32s3-20210327": Boot(BootMarker.BANNER),
    "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": Boot(BootMarker.RESET, "POWERON_RESET"),
    "rst:0x10 (RTCWDT_RTC_RESET),boot:0x13": Boot(BootMarker.RESET, "RTCWDT_RTC_RESET"),
    "NerdMiner v2 starting......": Boot(BootMarker.START),
    "NerdMinerv2 started......": Boot(BootMarker.START),
    "Resolved DNS got: 0.0.0.0": DnsFailed(),
    "hostByName(): DNS Failed for pool.example.com": DnsFailed("pool.example.com"),
    "[I/INFO] Connected to pool pool.example.com:3333": PoolAddress("pool.example.com", 3333),
    "Firmware Version: v1.8.3-4-gabcdef0": Version("v1.8.3-4-gabcdef0"),
    '  Sending  : {"id": 1, "method": "mining.subscribe", "params": ["HAN_SOLOminer/V2"]}': Sent(
        Method.SUBSCRIBE, 1, agent="HAN_SOLOminer/V2"
    ),
    f'  Sending  : {{"params": ["{USER}", "{PASSWORD}"], "id": 2, "method": "mining.authorize"}}': Sent(
        Method.AUTHORIZE, 2, user=USER
    ),
    '  Sending  : {"id":9,"method":"mining.submit","params":["w","j","e","t","n"]}': Sent(Method.SUBMIT, 9),
    '  Sending  : {"id":3,"method":"mining.suggest_difficulty","params":[0.0001]}': Sent(Method.OTHER, 3),
    '  Receiving: {"id":2,"error":null,"result":true}': Reply(2, True),
    '  Receiving: {"id":2,"error":null,"result":false}': Reply(2, False),
    '  Receiving: {"id":4,"result":null,"error":[23,"Low difficulty share",null]}': Reply(
        4, False, 23, "Low difficulty share"
    ),
    '  Receiving: {"id":4,"error":{"code":21,"message":"Job not found"}}': Reply(4, False, 21, "Job not found"),
    '  Receiving: {"id":4,"result":null,"error":"stale"}': Reply(4, False, None, "stale"),
    '  Receiving: {"method":"mining.set_difficulty","params":[0.0014]}': PoolDifficulty(0.0014),
    "    difficulty: 0.000150000000": PoolDifficulty(0.00015),
    "   - Current pool diff : 0.000150000000": PoolDifficulty(0.00015),
    "   - Current diff share: 12.500000000000": ShareDifficulty(12.5),
    "    Parsing Method [MINING NOTIFY]": Job(parsed=True),
    '  Receiving: {"id":null,"method":"mining.notify","params":["a': Job(parsed=False),
    "ERROR: 24 | reason: Unauthorized worker ": PoolError(24, "Unauthorized worker"),
    "Refuse submition 5": ShareRefused(5),
    ">>> Completed 12 share(s), 123456 Khashes, avg. hashrate 55.350 KH/s": Progress(55.35, 12.0, 123456.0),
    ">>> Completed 0 share(s), 4294967295 Khashes, avg. hashrate 1001 KH/s": Progress(1001.0, 0.0, 4294967295.0),
    ">>> Hashrate: 345.6 KH/s | Shares: 2 | Best diff: 1.5K": Progress(345.6, 2.0, None, 1500.0),
    ">>> Valid blocks: 1": Detail(Figure.VALID_BLOCKS, 1.0),
    ">>> Block templates: 42": Detail(Figure.BLOCK_TEMPLATES, 42.0),
    ">>> Best difficulty: 0.0000": Detail(Figure.BEST_DIFFICULTY, 0.0),
    ">>> Best difficulty: 1.234K": Detail(Figure.BEST_DIFFICULTY, 1234.0),
    ">>> Best difficulty: 2.5G": Detail(Figure.BEST_DIFFICULTY, 2.5e9),
    ">>> 32Bit shares: 3": Detail(Figure.SHARES_32BIT, 3.0),
    ">>> Temperature: -4": Detail(Figure.TEMPERATURE, -4.0),
    ">>> Total MHashes: 77": Detail(Figure.TOTAL_MHASHES, 77.0),
    ">>> Time mining: 1  02:03:04": Detail(Figure.TIME_MINING, 93784.0),
    ">>> [i] Miner: newJob>true / inRun>false) - Client: connected>true / subscribed>false / wificonnected>true": (
        Monitor(connected=True, subscribed=False, wifi=True)
    ),
}


@pytest.mark.parametrize(("line", "signal"), SIGNALS.items())
def test_signals(line, signal):
    assert parse_line(line) == (Seen(signal),)


@pytest.mark.parametrize(("line", "event"), OTHERS.items())
def test_lines_with_content(line, event):
    assert parse_line(line) == (event,)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Client not connected, trying to connect...",
        "Config IP Address: 192.168.4.1",
        "*wm:[ERROR] parameter IDs can only contain alpha numeric chars ",
        "MINER WORK ABORTED >> waiting new job",
        "SDCard: No config file available!",
        "CONNECTED - Current ip: 0.0.0.0",
        "Resolved DNS got: ",
        "Resolved DNS got: \x02\x1c\x3f",
        "Resolved DNS got: 198.51.100.1234",
        "Resolved DNS got: 999.1.1.1",
        "stratum: resolving [pool.example.com] -> [nowhere]",
        "  Sending  : KeepAlive suggest_difficulty",
        '  Sending  : {"params": ["w", "p',
        "  Receiving: ",
        "  Receiving: [1, 2]",
        '  Receiving: {"id":4}',
        '  Receiving: {"id":true,"result":true}',
        '  Receiving: {"id":99999999999999,"result":true}',
        '  Receiving: {"method":"mining.set_difficulty","params":[NaN]}',
        '  Receiving: {"method":"mining.set_difficulty","params":["1"]}',
        '  Receiving: {"method":"mining.set_difficulty","params":[-1]}',
        "  Receiving: " + "[" * 4000,
        '  Receiving: {"a":' * 200,
        '  Receiving: {"id":' + "9" * 4400 + "}",
        ">>> Completed 0 share(s), 1439",
        ">>> Completed -1 share(s), 4 Khashes, avg. hashrate 1 KH/s",
        ">>> Completed 0 share(s), " + "9" * 400 + " Khashes, avg. hashrate 1 KH/s",
        ">>> Best difficulty: ",
        ">>> Temperature: nan",
        "Refuse submition x",
        "ERROR: many | reason: none",
        "rst:0x",
    ],
)
def test_what_says_nothing(line):
    assert not [event for event in parse_line(line) if not isinstance(event, Boot)]


def test_two_tasks_on_one_line():
    line = "poolAPIUrl: https://pool.example.com/api/client/Resolved DNS and save ip (first time) got: 198.51.100.4"
    assert parse_line(line) == (Seen(Signal.DNS_RESOLVED),)
    assert parse_line("*wm:[ERR>>> Completed 0 share(s), 0 Khashes, avg. hashrate 0.00 KH/s") == (
        Progress(0.0, 0.0, 0.0),
    )


def test_events_come_in_the_order_of_the_line():
    line = "[WORKER] ==> Autorize work[WORKER] ==> Mining subscribeCONNECTED - Current ip: 192.0.2.7"
    assert parse_line(line) == (Seen(Signal.AUTHORIZE), Seen(Signal.SUBSCRIBE), Seen(Signal.CONNECTED))
    assert parse_line(">>> Valid blocks: 1>>> Valid blocks: 2") == (
        Detail(Figure.VALID_BLOCKS, 1.0),
        Detail(Figure.VALID_BLOCKS, 2.0),
    )


def test_the_text_behind_a_reply_is_another_tasks():
    line = '  Receiving: {"id":4,"error":null,"result":true}>>> Valid blocks: 0'
    assert parse_line(line) == (Reply(4, True), Detail(Figure.VALID_BLOCKS, 0.0))


@pytest.mark.parametrize("name", CONSOLES)
def test_no_event_holds_the_password(name):
    events = [event for line in CONSOLES[name][0].decode("latin-1").split("\n") for event in parse_line(line)]
    assert PASSWORD not in repr(events)


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from([*SIGNALS, *OTHERS]), st.integers(0, 80))
def test_nothing_raises(noise, line, cut):
    for text in (noise, noise + line, line[:cut] + noise, line[cut:], line[:cut] + noise + line[cut:]):
        assert isinstance(parse_line(text), tuple)


@settings(deadline=None)
@given(st.sampled_from([*SIGNALS, *OTHERS]))
def test_text_in_front_changes_nothing(line):
    assert parse_line("TimeClient NTPupdateTime " + line) == parse_line(line)
