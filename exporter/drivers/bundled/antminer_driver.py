"""Stock Bitmain Antminers: the CGMiner API on TCP 4028 and the web interface under /cgi-bin.

4028 is asked first: one joined command needs no password and tells rates, boards, fans and pools. The web interface
(digest, usually root/root) adds what 4028 lacks, in the slow loop: MAC, serial number, mode, complaints, lamp. Where
4028 is closed, the web interface serves both loops. A refused password costs nothing but those additions.

VNish 3.x answers like the stock firmware and is polled here, too, under its own firmware name.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from exporter.drivers.api import (
    Answers,
    Auth,
    CgminerRequest,
    DecodeContext,
    Driver,
    HttpRequest,
    Identification,
    Request,
    Specificity,
)
from exporter.drivers.families import bitmain_cgi as cgi
from exporter.drivers.families.antminer_commands import AntminerCommands
from exporter.drivers.families.bitmain import UNUSED_STATS_KEYS, decode_stats, decode_type
from exporter.drivers.families.bitmain_units import RateUnit, rate_unit
from exporter.drivers.families.cgminer_records import (
    UNUSED_POOL_KEYS,
    UNUSED_SUMMARY_KEYS,
    decode_pools,
    decode_summary,
    ignored,
)
from exporter.errors import DecodeError
from exporter.model import Identity, MinerState, Reading, replace
from exporter.units import gigahashes_per_second

#: Marks (in capitals) of firmwares that imitate the stock replies: Braiins, Whatsminer, LuxOS, Hiveon, MSKMiner,
#: Marathon, Auradine, SealMiner, Goldshell, VNish, Blissz, A.P. and Antminer-like makes.
FOREIGN: Final = (
    *("BOSMINER", "BOSER", "BOS_", "BRAIINS", "BTMINER", "BITMICRO", "LUXMINER", "HIVEON", "RWGLR", "MSKMINER"),
    *("MARAFW", "KAONSU", "AVALON", "GCMINER", "FLUXOS", "BDMINER", "INTCHAINS_QOMO", "KDAMINER", "BFGMINER"),
    *("INNOMINER", "VNISH", "ANTHILL", "BLISSZ", "(A.P.", "AWESOME", "BLACKMINER", "ELPHAPEX", "HAMMER", "VOLCMINER"),
)
_FOREIGN_MARKS: Final = tuple(mark.encode() for mark in FOREIGN)
_REALM: Final = "antminer configuration"
_SYSTEM_KEY: Final = f"GET {cgi.SYSTEM}"
_NETWORK_KEY: Final = f"GET {cgi.NETWORK}"


def _page(path: str, *, optional: bool = True, otherwise: HttpRequest | None = None) -> HttpRequest:
    return HttpRequest(path, auth=Auth.DIGEST, optional=optional, otherwise=otherwise)


_VERSION = CgminerRequest("version", optional=True)
_RPC_STATUS: Final[tuple[Request, ...]] = (
    CgminerRequest("stats", optional=True),
    CgminerRequest("summary", optional=True),
    CgminerRequest("pools"),
)
_CGI_STATUS: Final[tuple[Request, ...]] = (
    _page(cgi.STATS, optional=False, otherwise=_page(cgi.OLD_STATUS, optional=False)),
    _page(cgi.SUMMARY),
    _page(cgi.POOLS),
)
_SYSTEM_PAGE = _page(cgi.SYSTEM, otherwise=_page(cgi.NETWORK))


class AntminerDriver(AntminerCommands, Driver):
    """Bitmain Antminer with stock firmware, S7 to S21, and the L, D, E, K and Z families."""

    driver_type = "antminer"
    driver_version = "1.1.0"
    display_name = "Antminer"
    manufacturer = "Bitmain"
    supported_models = ("Antminer with stock firmware", "Antminer with VNish 3.x")
    connection_type = "tcp"
    default_port = 4028
    interface_version = 1

    probes: ClassVar[tuple[Request, ...]] = (CgminerRequest("version"), CgminerRequest("stats"), HttpRequest("/"))
    default_username: ClassVar[str] = "root"
    default_passwords: ClassVar[tuple[str, ...]] = ("root",)
    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("* STATUS*", "state and time of the reply"),
        ("* id", "number of the reply"),
        ("rpc * IP", "added by the program that recorded the reply"),
        ("rpc version VERSION[].*", "versions of parts; model and build are read"),
        ("rpc stats STATS[].BMMiner", "version of a part"),
        ("rpc stats STATS[].CGMiner", "version of a part"),
        ("rpc stats STATS[].Miner", "version of a part"),
        *ignored("rpc stats STATS[].", UNUSED_STATS_KEYS),
        *(
            (f"rpc stats STATS[].{name}*", "the slot holds no board, or another key of the slot tells it")
            for name in ("temp", "chain_", "freq")
        ),
        *ignored("rpc summary SUMMARY[].", UNUSED_SUMMARY_KEYS),
        ("rpc summary SUMMARY[].Total MH", "read where the unit of the model's rates is certain"),
        ("rpc summary SUMMARY[].GHS *", "from stats, which names the unit"),
        *ignored("rpc pools POOLS[].", UNUSED_POOL_KEYS),
        (f"{_SYSTEM_KEY} net*", "settings of the network"),
        (f"{_SYSTEM_KEY} *address", "the address is known"),
        (f"{_SYSTEM_KEY} gateway", "settings of the network"),
        (f"{_SYSTEM_KEY} dnsservers", "settings of the network"),
        (f"{_SYSTEM_KEY} system_*", "the version is read"),
        (f"{_SYSTEM_KEY} firmware_type", "always the same"),
        (f"{_SYSTEM_KEY} Algorithm", "a property of the model"),
        (f"{_NETWORK_KEY} *", "settings of the network; MAC and host name are read"),
        ("GET /cgi-bin/* INFO.*", "versions of parts and the model"),
        (f"GET {cgi.STATS} STATS[].rate_30m", "an average; Prometheus averages"),
        (f"GET {cgi.STATS} STATS[].chain_num", "boards found, counted from the boards"),
        (f"GET {cgi.STATS} STATS[].hwp_total", "ratio of two counters"),
        (f"GET {cgi.STATS} STATS[].freq-level", "a setting"),
        (f"GET {cgi.STATS} STATS[].psu*", "not described"),
        (f"GET {cgi.STATS} STATS[].chain[].temp_pic", "sensor of the board's controller, its scale differs by model"),
        (f"GET {cgi.STATS} STATS[].chain[].eeprom_loaded", "internals of a board"),
        (f"GET {cgi.STATS} STATS[].chain[].hwp", "ratio of two counters"),
        (f"GET {cgi.SUMMARY} SUMMARY[].rate_*", "from stats"),
        (f"GET {cgi.SUMMARY} SUMMARY[].status[].msg", "free text"),
        (f"GET {cgi.POOLS} POOLS[].discarded", "work the firmware threw away, not in the catalogue"),
        (f"GET {cgi.POOLS} POOLS[].diff1", "the same work in another unit"),
        (f"GET {cgi.POOLS} POOLS[].diffr", "rejected shares are counted, not weighed"),
        (f"GET {cgi.POOLS} POOLS[].diffs", "stale shares are counted, not weighed"),
        (f"GET {cgi.POOLS} POOLS[].lsdiff", "difficulty of one share"),
        (f"GET {cgi.CONF} pools[].*", "told by pools; passwords are never read"),
        (f"GET {cgi.CONF} api-*", "settings"),
        (f"GET {cgi.CONF} bitmain-*", "settings"),
        (f"GET {cgi.CONF} algo", "settings"),
    )

    # --- identification ---

    def identify(self, answers: Answers) -> Identification | None:
        replies = [answers.get(key) for key in ("rpc version", "rpc stats")]
        told = b"".join(reply.body.upper() for reply in replies if reply)
        if told and any(mark in told for mark in _FOREIGN_MARKS):
            return None
        web = _asks_for_password(answers)
        details = {"web": "auth"} if web else {}
        for key, name in (("rpc version", "VERSION"), ("rpc stats", "STATS")):
            identity = _by_type(answers, key, name)
            if identity is not None:
                return Identification("antminer", Specificity.STOCK, identity, {"api": "rpc", **details})
        if web:
            return Identification(
                "antminer",
                Specificity.STOCK,
                Identity(make="Bitmain", firmware="Bitmain"),
                {"api": "cgi", **details},
            )
        return None

    def identity_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return (_SYSTEM_PAGE,) if _by_web(context) else (_VERSION, _SYSTEM_PAGE)

    def decode_identity(self, answers: Answers, context: DecodeContext) -> Identity:
        identity = Identity()
        for key in (_SYSTEM_KEY, _NETWORK_KEY):
            document = answers.optional_document(key)
            if document is not None:
                identity = _completed(identity, cgi.decode_system(document, key))
        version = answers.optional_document(_VERSION.key)
        if version is not None:
            identity = _completed(identity, decode_type(version, "VERSION", _VERSION.key))
        own = context.identity.firmware  # VNish 3.x keeps its name and version
        known = context.identity if own not in (None, "Bitmain") else Identity(firmware="Bitmain")
        return _completed(known, identity)

    # --- loops ---

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return _CGI_STATUS if _by_web(context) else _RPC_STATUS

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        return _web_status(answers, context) if _by_web(context) else _rpc_status(answers, context)

    def telemetry_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        pages = (_page(cgi.CONF), _page(cgi.BLINK))
        return pages if _by_web(context) else (*pages, _page(cgi.SUMMARY))

    def decode_telemetry(self, answers: Answers, context: DecodeContext) -> Reading:
        reading = Reading()
        conf = answers.optional_document(f"GET {cgi.CONF}")
        if conf is not None:
            reading = cgi.decode_conf(conf)
        blink = answers.optional_document(f"GET {cgi.BLINK}")
        if blink is not None:
            reading = replace(reading, fault_light=cgi.decode_blink(blink).fault_light)
        summary = answers.optional_document(f"GET {cgi.SUMMARY}")
        if summary is not None:
            complaints = cgi.decode_summary(summary)
            reading = replace(reading, errors=complaints.errors, overheat=complaints.overheat)
        return reading


# --- identification -----------------------------------------------------------------------------------------------


def _by_web(context: DecodeContext) -> bool:
    return context.details.get("api") == "cgi"


def _asks_for_password(answers: Answers) -> bool:
    page = answers.get("GET /")
    return page is not None and page.status == 401 and _REALM in page.headers.get("www-authenticate", "").lower()


def _by_type(answers: Answers, key: str, name: str) -> Identity | None:
    """The identity in a reply whose type is an Antminer; None where it is no such reply."""
    try:
        document = answers.optional_document(key)
        if not isinstance(document, dict) or name not in document:
            return None
        identity = decode_type(document, name, key)
    except DecodeError:
        return None
    if identity.model is None or not identity.model.lower().startswith("antminer"):
        return None
    return replace(identity, firmware="Bitmain")


def _completed(first: Identity, second: Identity) -> Identity:
    """`first`, and what only `second` knows."""
    return Identity(
        mac=first.mac or second.mac,
        serial=first.serial or second.serial,
        make=first.make or second.make,
        model=first.model or second.model,
        firmware=first.firmware or second.firmware,
        firmware_version=first.firmware_version or second.firmware_version,
        hostname=first.hostname or second.hostname,
    )


# --- status -------------------------------------------------------------------------------------------------------


def _rpc_status(answers: Answers, context: DecodeContext) -> Reading:
    """stats with the counters of summary and the pools; either of the first two may be refused."""
    stats, summary = answers.optional_document("rpc stats"), answers.optional_document("rpc summary")
    if stats is None and summary is None:
        raise DecodeError("rpc stats: neither stats nor summary was answered")
    pools = decode_pools(answers.document("rpc pools"), context)
    model = context.identity.model
    unit: RateUnit | None = rate_unit(None, model)
    reading = Reading()
    if stats is not None:
        told_stats = decode_stats(stats, model)
        unit, reading = told_stats.unit, told_stats.reading
        reading = replace(reading, identity=_unknown_before(reading.identity, context.identity))
    if summary is not None:
        reading = _with_counters(reading, summary, unit)
    return replace(reading, pools=pools)


def _unknown_before(identity: Identity, known: Identity) -> Identity:
    """What the device did not tell elsewhere: the build time gives way to the version of the whole firmware."""
    return Identity(
        make=None if known.make else identity.make,
        model=None if known.model else identity.model,
        firmware=None if known.firmware else "Bitmain",
        firmware_version=None if known.firmware_version else identity.firmware_version,
    )


def _with_counters(reading: Reading, summary: Any, unit: RateUnit | None) -> Reading:
    """`reading` with the counters of `summary`; its rates only where `stats` told none and "GHS" surely is GH/s."""
    counters = decode_summary(summary, rates=unit is gigahashes_per_second)
    return replace(
        reading,
        mining_uptime=reading.mining_uptime if reading.mining_uptime is not None else counters.mining_uptime,
        hashrate=reading.hashrate if reading.hashrate is not None else counters.hashrate,
        hashrate_average=(
            reading.hashrate_average if reading.hashrate_average is not None else counters.hashrate_average
        ),
        hashes=counters.hashes,
        hardware_errors=(reading.hardware_errors if counters.hardware_errors is None else counters.hardware_errors),
        best_share_difficulty=counters.best_share_difficulty,
        session_best_share_difficulty=counters.session_best_share_difficulty,
        blocks_found=counters.blocks_found,
    )


def _web_status(answers: Answers, context: DecodeContext) -> Reading:
    """stats.cgi with the counters of summary.cgi and the pools; or the one page of older firmwares."""
    old = answers.optional_document(f"GET {cgi.OLD_STATUS}")
    if old is not None:
        return cgi.decode_old_status(old, context)
    reading = cgi.decode_stats(answers.document(f"GET {cgi.STATS}"))
    summary = answers.optional_document(f"GET {cgi.SUMMARY}")
    if summary is not None:
        counters = cgi.decode_summary(summary)
        stopped = reading.state is MinerState.IDLE and any(
            error.severity == "error" and error.component in ("temperature", "fan") for error in counters.errors
        )
        reading = replace(
            reading,
            state=MinerState.FAULT if stopped else reading.state,
            overheat=counters.overheat,
            errors=counters.errors,
            hardware_errors=counters.hardware_errors,
            best_share_difficulty=counters.best_share_difficulty,
            session_best_share_difficulty=counters.session_best_share_difficulty,
        )
    pools = answers.optional_document(f"GET {cgi.POOLS}")
    return reading if pools is None else replace(reading, pools=cgi.decode_pools(pools, context))
