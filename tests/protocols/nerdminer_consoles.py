"""Consoles of NerdMiners, written from the firmware's formats, and where each one must end.

`CONSOLES` maps a name to the bytes and to what must be known after them; the words are those of the UI.
"""

import json
from dataclasses import dataclass, field

PASSWORD = "Tr0ub4dor-pool"
WIFI_PASSWORD = "correct-horse-wifi"
SECRETS = (PASSWORD, WIFI_PASSWORD)
WALLET = "bc1qexample7flock7watch7nerd7miner00000000"
USER = f"{WALLET}.shelf3"
POOL = "pool.example.com"
PORT = 3337


@dataclass(frozen=True)
class End:
    """What must be known at the end of a console; `flags` hold at the end, `seen` have been passed."""

    status: str
    state: str
    boots: int
    config: bool
    version: str | None = None
    flags: frozenset[str] = frozenset()
    seen: frozenset[str] = field(default_factory=frozenset)


def crlf(*lines: str) -> bytes:
    return "".join(line + "\r\n" for line in lines).encode()


def lf(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def rom(reason="0x1 (POWERON_RESET)", boot="0x13 (SPI_FAST_FLASH_BOOT)") -> bytes:
    return crlf(
        "ets Jul 29 2019 12:21:46",
        "",
        f"rst:{reason},boot:{boot}",
        "configsip: 0, SPIWP:0xee",
        "mode:DIO, clock div:2",
        "load:0x3fff0030,len:1184",
        "entry 0x400805e4",
    )


def rom_s3(reason="0x15 (USB_UART_CHIP_RESET)") -> bytes:
    return crlf(
        "ESP-ROM:esp32s3-20210327",
        "Build:Mar 27 2021",
        f"rst:{reason},boot:0x8 (SPI_FAST_FLASH_BOOT)",
        "entry 0x403c98d4",
    )


START = crlf("NerdMiner v2 starting......")


def dumped(**changes) -> dict:
    pairs = {
        "poolString": POOL,
        "portNumber": PORT,
        "poolPassword": PASSWORD,
        "btcString": USER,
        "gmtZone": 1,
        "saveStatsToNVS": False,
        "invertColors": False,
        "Brightness": 200,
    }
    return {key: value for key, value in {**pairs, **changes}.items() if value is not ...}


def pretty(pairs: dict) -> bytes:
    """As ArduinoJson prints it: CRLF, two blanks, nothing behind the last brace."""
    return json.dumps(pairs, indent=2).replace("\n", "\r\n").encode()


def spiffs(pairs: dict | None = None) -> bytes:
    return (
        crlf("SPIFS: Mounting File System...", "SPIFS: Mounted", "SPIFS: Loading config file")
        + pretty(dumped() if pairs is None else pairs)
        + b"\n"
    )


NO_CONFIG = crlf("SPIFS: Mounting File System...", "SPIFS: Mounted", "SPIFS: No config file available!")
CONFIG_162 = (
    crlf("Mounting File System...", "mounted file system", "reading config file", "Opened configuration file")
    + pretty(dumped(poolPassword=..., saveStatsToNVS="1", invertColors=..., Brightness=...))
    + crlf("Parsing JSON")
)


def listing(password: str | None = PASSWORD, user: str = USER) -> bytes:
    lines = [f"PoolString: {POOL}", f"portNumber: {PORT}"]
    lines += [] if password is None else [f"poolPassword: {password}"]
    return crlf(*lines, f"btcString: {user}", "TimeZone fromUTC: 1")


WIFI = crlf(
    "*wm:[ERROR] parameter IDs can only contain alpha numeric chars ",
    "AllDone: ",
    "*wm:AutoConnect ",
    "*wm:Connecting to SAVED AP: Barn",
    "*wm:AutoConnect: SUCCESS ",
    "*wm:STA IP Address: 192.0.2.77",
    "",
    "WiFi connected",
    "IP address: 192.0.2.77",
)
PORTAL = crlf(
    "*wm:StartAP with SSID:  NerdMinerAP",
    "*wm:AP IP address: 192.168.4.1",
    "Entered Configuration Mode",
    "Config SSID: NerdMinerAP",
    "Config IP Address: 192.168.4.1",
    "*wm:Starting Web Portal ",
)
TASKS = crlf("", "Initiating tasks...", "[MONITOR] started", "") + lf(
    "", "[WORKER] Started. Running (Stratum) on core 1"
)
TRYING = crlf("Client not connected, trying to connect...")
HARDWARE = lf("[MINER] 0 Started minerWorkerHwEsp32D Task!", "[MINER] 1 Started minerWorkerSw Task!")
HARDWARE_170 = lf("[MINER]  0  Started runMiner Task!")
CONNECTED = crlf("CONNECTED - Current ip: 192.0.2.77")


def resolved(ip="198.51.100.20", *, first=True) -> bytes:
    return lf(f"Resolved DNS {'and save ip (first time) ' if first else ''}got: {ip}")


def subscribe(agent="NerdMinerV2/V1.8.3") -> bytes:
    return (
        lf(
            "[WORKER] ==> Mining subscribe",
            f'  Sending  : {{"id": 1, "method": "mining.subscribe", "params": ["{agent}"]}}',
        )
        + crlf("")
        + crlf(
            '  Receiving: {"id":1,"error":null,"result":[[["mining.notify","5eed"]],"a1b2c3d4",8]}',
            "    sub_details: 5eed",
            "    extranonce1: a1b2c3d4",
            "    extranonce2_size: 8",
        )
    )


AUTHORIZE = lf(
    "[WORKER] ==> Autorize work",
    f'  Sending  : {{"params": ["{USER}", "{PASSWORD}"], "id": 2, "method": "mining.authorize"}}',
) + crlf("")
SUGGEST = lf('  Sending  : {"id":3,"method":"mining.suggest_difficulty","params":[0.0002]}')
ACCEPTED = crlf('  Receiving: {"id":2,"error":null,"result":true}')
REFUSED = crlf('  Receiving: {"id":2,"result":null,"error":[24,"Unauthorized worker",null]}') + lf(
    "ERROR: 24 | reason: Unauthorized worker "
)
DIFFICULTY = crlf(
    '  Receiving: {"id":null,"method":"mining.set_difficulty","params":[0.0002]}',
    "    Parsing Method [SET DIFFICULTY]",
    "    difficulty: 0.000200000000",
)
JOB = crlf(
    '  Receiving: {"id":null,"method":"mining.notify","params":["2c","00","01","ff",[],"2","17","69",true]}',
    "    Parsing Method [MINING NOTIFY]",
)


def completed(shares: int, khashes: int, rate: str) -> bytes:
    return lf(f">>> Completed {shares} share(s), {khashes} Khashes, avg. hashrate {rate} KH/s")


def details(blocks=0, templates=1, best="0.0000", shares=0, temperature="47", mhashes=0, clock="0  00:00:01") -> bytes:
    return lf(
        f">>> Valid blocks: {blocks}",
        f">>> Block templates: {templates}",
        f">>> Best difficulty: {best}",
        f">>> 32Bit shares: {shares}",
        f">>> Temperature: {temperature}",
        f">>> Total MHashes: {mhashes}",
        f">>> Time mining: {clock}",
    )


def monitor(connected="false", subscribed="false", wifi="true") -> bytes:
    return lf(
        f">>> [i] Miner: newJob>true / inRun>{subscribed}) - Client: connected>{connected} / "
        f"subscribed>{subscribed} / wificonnected>{wifi}"
    )


def submit(number: int, difficulty="0.000512345678") -> bytes:
    return lf(
        f'  Sending  : {{"id":{number},"method":"mining.submit","params":["{USER}","2c","00","69","c0ffee"]}}'
    ) + crlf(
        f"   - Current diff share: {difficulty}",
        "   - Current pool diff : 0.000200000000",
        "   - TX SHARE: " + "0f" * 32,
    )


def share_accepted(number: int) -> bytes:
    return crlf(f'  Receiving: {{"id":{number},"error":null,"result":true}}')


def share_rejected(number: int, code=21, reason="Job not found") -> bytes:
    return crlf(f'  Receiving: {{"id":{number},"result":null,"error":[{code},"{reason}",null]}}') + lf(
        f"ERROR: {code} | reason: {reason} ", f"Refuse submition {number}"
    )


GURU = crlf(
    "Guru Meditation Error: Core  1 panic'ed (LoadProhibited). Exception was unhandled.",
    "Backtrace: 0x400974d8:0x3ffd5e90 0x40095d95:0x3ffd5eb0",
    "",
    "Rebooting...",
)
TO_POOL = TASKS + TRYING + HARDWARE + CONNECTED + resolved()
BOOT = rom() + START + spiffs() + WIFI + listing() * 2
SESSION = subscribe() + AUTHORIZE + SUGGEST + ACCEPTED + DIFFICULTY + JOB
GOOD = BOOT + TO_POOL + SESSION
SD_FILE = {
    "SSID": "Barn",
    "WifiPW": WIFI_PASSWORD,
    "PoolUrl": POOL,
    "PoolPassword": PASSWORD,
    "PoolPort": PORT,
    "BtcWallet": USER,
    "Timezone": 1,
    "SaveStats": True,
}
INITIALIZING, ACTIVE = "Initializing", "Active"

CONSOLES: dict[str, tuple[bytes, End]] = {
    "good": (
        GOOD + completed(0, 310, "310.00") + details() + submit(4) + share_accepted(4) + submit(5) + share_rejected(5)
        + completed(0, 640, "320.10") + details(templates=2, best="1.2K", clock="0  00:00:02"),
        End(ACTIVE, "Mining", 1, True, "V1.8.3", seen=frozenset({"pool_error"})),
    ),
    "interleaved": (
        rom_s3() + START + spiffs() + WIFI + TASKS + TRYING + HARDWARE_170
        + b"poolAPIUrl: https://pool.example.com:40557/api/client/" + resolved() + crlf("") + CONNECTED
        + subscribe("NerdMinerV2/V1.7.0") + AUTHORIZE + ACCEPTED
        + b"TimeClient NTPupdateTime " + completed(0, 61, "61.20"),
        End(ACTIVE, "Mining", 1, True, "V1.7.0"),
    ),
    "old": (
        rom() + START + CONFIG_162 + WIFI + listing(None) + TASKS + TRYING + HARDWARE_170 + resolved() + CONNECTED
        + subscribe("NerdMinerV2") + AUTHORIZE + JOB,
        End(ACTIVE, "Mining", 1, True),
    ),
    "wrong Wi-Fi": (
        rom() + START + spiffs() + crlf("*wm:AutoConnect: FAILED for  40562 ms") + PORTAL
        + crlf("*wm:config portal has timed out ", "Failed to connect to configured WIFI, and hit timeout"),
        End(INITIALIZING, "Booting", 1, True, flags=frozenset({"setup_portal"})),
    ),
    "portal saved": (
        rom() + START + NO_CONFIG + PORTAL + crlf("Should save config", "*wm:Connect to new AP [SUCCESS] ")
        + crlf("*wm:config portal exiting ", "failed to connect and hit timeout", "SPIFS: Already Mounted")
        + crlf("SPIFS: Saving configuration.") + pretty(dumped()) + b"\n" + rom("0xc (SW_CPU_RESET)") + START,
        End(INITIALIZING, "Booting", 2, True, seen=frozenset({"no_config", "setup_portal"})),
    ),
    "corrupt configuration": (
        rom() + START + crlf("SPIFS: Mounted", "SPIFS: Loading config file") + lf("null")
        + crlf("SPIFS: Error parsing config file!") + PORTAL,
        End(INITIALIZING, "Booting", 1, False, flags=frozenset({"config_corrupt", "setup_portal"})),
    ),
    "no name server": (
        BOOT + TASKS + TRYING + HARDWARE + CONNECTED
        + crlf(f"[ 12345][E][WiFiGeneric.cpp:1583] hostByName(): DNS Failed for {POOL}") + resolved("0.0.0.0")
        + crlf(f"Imposible to connect to : {POOL}") + resolved("0.0.0.0", first=False) + monitor(),
        End(INITIALIZING, "CONNECTED IP", 1, True, flags=frozenset({"dns_failure", "pool_unreachable"})),
    ),
    "worker refused": (
        BOOT + TO_POOL + crlf(f"Imposible to connect to : {POOL}") + TRYING + subscribe() + AUTHORIZE + REFUSED
        + completed(0, 0, "0.00"),
        End(INITIALIZING, "Mining Authorize", 1, True, "V1.8.3", flags=frozenset({"authorize_refused"}),
            seen=frozenset({"pool_unreachable", "pool_error"})),
    ),
    "subscription aborted": (
        BOOT + TO_POOL + subscribe() + lf("[WORKER] >>>>>>>>> Work aborted", "extranonce1 length: 0 ") + TRYING,
        End(INITIALIZING, "Mining Subscribe", 1, True, "V1.8.3", seen=frozenset({"subscribe_aborted"})),
    ),
    "crashes": (
        (rom() + START + spiffs() + WIFI + GURU) * 2,
        End(INITIALIZING, "Booting", 2, True, flags=frozenset({"crashed"})),
    ),
    "boot loop": (
        (rom() + START + spiffs() + GURU) * 5,
        End(INITIALIZING, "Booting", 5, True, flags=frozenset({"crashed", "boot_loop"})),
    ),
    "recovered from a loop": (
        (rom() + START + GURU) * 4 + GOOD + completed(0, 300, "300.00"),
        End(ACTIVE, "Mining", 5, True, "V1.8.3", seen=frozenset({"crashed", "boot_loop"})),
    ),
    "garbage": (
        bytes(range(128, 256)) * 8 + b"\x00\xff" * 50 + rom() + START
        + crlf("SPIFS: Loading config file", "{", f'  "poolString": "{POOL}",') + b'  "portNumb\xfe\x81\x00'
        + WIFI + listing() + TASKS + HARDWARE + CONNECTED
        + b"Resolved DNS and save ip (first time) got: \xe8\x1c\xfb\x3f\x0f\n" + TRYING,
        End(INITIALIZING, "CONNECTED IP", 1, True),
    ),
    "lines lost": (
        rom_s3() + START + spiffs(dumped(poolPassword=...)) + b"*wm:[ERR" + completed(0, 0, "0.00") + monitor()
        + subscribe("NerdMinerV2") + completed(0, 0, "0.00"),
        End(INITIALIZING, "Mining Subscribe", 1, True),
    ),
    "Wi-Fi lost and back": (
        GOOD + completed(0, 310, "310.00") + crlf("[Error] - current status: 6") + monitor(wifi="false")
        + completed(0, 310, "0.00") + CONNECTED + TRYING + resolved(first=False) + SESSION
        + completed(0, 700, "300.00"),
        End(ACTIVE, "Mining", 1, True, "V1.8.3"),
    ),
    "wiped by a button": (
        completed(7, 99000, "305.1") + crlf("Erasing Config, restarting", "SPIFS: Erasing config file..")
        + lf("[MONITOR] Resetting NVS stats") + rom("0xc (SW_CPU_RESET)") + START + NO_CONFIG + PORTAL,
        End(INITIALIZING, "Booting", 1, False, flags=frozenset({"setup_portal", "no_config"}),
            seen=frozenset({"config_wiped"})),
    ),
    "download mode": (
        rom(boot="0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))") + crlf("waiting for download"),
        End(INITIALIZING, "Booting", 1, False, flags=frozenset({"download_mode"})),
    ),
    "brownout and watchdog": (
        GOOD + crlf("Brownout detector was triggered", "") + rom("0xc (SW_CPU_RESET)") + START + spiffs()
        + crlf("E (900123) task_wdt: Task watchdog got triggered. The following tasks did not reset the watchdog")
        + rom("0x8 (TG1WDT_SYS_RESET)"),
        End(INITIALIZING, "Booting", 3, True, "V1.8.3", flags=frozenset({"crashed"})),
    ),
    "SD card": (
        rom() + crlf("SDCard: SPI mode.", "SDCard: Inserted.") + START + NO_CONFIG + crlf("SDCard: Loading config file")
        + pretty(SD_FILE) + b"\n" + lf(f"Carteira Lida SDs:{USER}") + crlf("SPIFS: Saving configuration.")
        + pretty(dumped()) + b"\n" + crlf("SDCard: Settings transfered to internal memory. Restarting now."),
        End(INITIALIZING, "Booting", 1, True, seen=frozenset({"no_config"})),
    ),
    "mining when plugged in": (
        completed(3, 123456, "333.3") + completed(3, 123789, "333.1"),
        End(ACTIVE, "Mining", 0, False),
    ),
    "the first version": (
        crlf("NerdMinerv2 started......", "reading config file", "Opened configuration file")
        + json.dumps(dumped()).encode() + crlf("Parsing JSON") + CONNECTED,
        End(INITIALIZING, "CONNECTED IP", 1, True),
    ),
    "ssd1306": (
        GOOD + lf(">>> Hashrate: 345.6 KH/s | Shares: 2 | Best diff: 1.5K"),
        End(ACTIVE, "Mining", 1, True, "V1.8.3"),
    ),
}  # fmt: skip
