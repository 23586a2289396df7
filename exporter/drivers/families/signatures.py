"""The table of marks by which miner families are told apart: one row per family and place.

A place is the key of a probe's answer. A row matches where all its marks are found in that answer: `body` in the body
(regular expression, any case), `head` in the header lines, and `status` where it is given. Earlier rows win, so that
firmwares stand before what they imitate. Sources: pyasic factory.py and asic-rs factory.rs as compared in the protocol
notes, foreman's detection suite, and captured answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Drivers that identify their own devices; named here so that nobody else claims them.
OWN_DRIVERS: Final = frozenset({"vnish", "antminer", "avalon", "avalon_nano", "bitaxe", "nerdqaxe", "nmminer"})
CGMINER: Final = "cgminer"


@dataclass(frozen=True, slots=True)
class Family:
    """What a host is.

    Attributes:
        name: the family ("Braiins OS"), unique in the table; `details` and tests use it.
        make: the maker of the machine where the family tells it.
        firmware: the maker of the firmware.
        model: as the answers tell it.
        firmware_version: as the answers tell it.
        driver_type: "cgminer" where the family can speak that protocol, another driver's where that one owns it, None
            where no driver can poll it.
    """

    name: str
    make: str | None = None
    firmware: str | None = None
    driver_type: str | None = None
    model: str | None = None
    firmware_version: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """One row; see the module's text."""

    place: str
    family: Family
    body: str = ""
    head: str = ""
    status: tuple[int, ...] = ()


BRAIINS: Final = Family("Braiins OS", None, "Braiins", CGMINER)
WHATSMINER: Final = Family("Whatsminer", "MicroBT", "MicroBT", CGMINER)
LUXOS: Final = Family("LuxOS", "Bitmain", "Luxor", CGMINER)
HIVEON: Final = Family("Hiveon", "Bitmain", "Hiveon", CGMINER)
MSKMINER: Final = Family("MSKMiner", "Bitmain", "MSKMiner", CGMINER)
BLISSZ: Final = Family("Blissz", "Bitmain", "Blissz", CGMINER)
ASIC_PERFORMANCE: Final = Family("A.P.", "Bitmain", "A.P.", CGMINER)
AWESOME: Final = Family("Awesome Miner", "Bitmain", "Awesome Miner", CGMINER)
MARATHON: Final = Family("Marathon", None, "Marathon", CGMINER)
AURADINE: Final = Family("Auradine", "Auradine", "Auradine", CGMINER)
SEALMINER: Final = Family("SealMiner", "Bitdeer", "Bitdeer", CGMINER)
GOLDSHELL: Final = Family("Goldshell", "Goldshell", "Goldshell", CGMINER)
INNOSILICON: Final = Family("Innosilicon", "Innosilicon", "Innosilicon", CGMINER)
STRONGU: Final = Family("StrongU", "StrongU", "StrongU", CGMINER)
BAIKAL: Final = Family("Baikal", "Baikal", "Baikal", CGMINER)
HONORKNIGHT: Final = Family("HonorKnight", "HonorKnight", "HonorKnight", CGMINER)
BW: Final = Family("BW", "BW", "BW", CGMINER)
MINERVA: Final = Family("Minerva", "Minerva", "Minerva", CGMINER)
GRIDSEED: Final = Family("GridSeed", "GridSeed", None, CGMINER)
BLACKMINER: Final = Family("Blackminer", "Hashaltcoin", "Hashaltcoin", CGMINER)
HAMMER: Final = Family("Hammer", "Hammer", "Hammer", CGMINER)
VOLCMINER: Final = Family("VolcMiner", "VolcMiner", "VolcMiner", CGMINER)
#: The web realm is shared by Hammer, VolcMiner and Blackminer.
BLACKMINER_WEB: Final = Family("Hammer or VolcMiner", None, None, CGMINER)
ELPHAPEX: Final = Family("Elphapex", "Elphapex", "Elphapex", CGMINER)
EPIC: Final = Family("ePIC", "ePIC", "ePIC", None)
ICERIVER: Final = Family("IceRiver", "IceRiver", "IceRiver", None)
FUTUREBIT: Final = Family("FutureBit", "FutureBit", "FutureBit", None)
PROTO: Final = Family("Proto", "Proto", "Proto", None)
NMAXE: Final = Family("NMAxe", "NMAxe", "NMAxe", "nmminer")
AXEHUB: Final = Family("AxeHub", "NerdMiner", "AxeHub", None)
VNISH: Final = Family("VNish", "Bitmain", "VNish", "vnish")
ANTMINER: Final = Family("Antminer", "Bitmain", "Bitmain", "antminer")
AVALON: Final = Family("Avalon", "Canaan", "Canaan", "avalon")
BITAXE: Final = Family("Bitaxe", None, "AxeOS", "bitaxe")
NERDQAXE: Final = Family("NerdQAxe", None, "NerdQAxe", "nerdqaxe")
NMMINER: Final = Family("NMMiner", "NMTech", "NMMiner", "nmminer")

_VERSION: Final = "rpc version"
_STATS: Final = "rpc stats"
_SUMMARY: Final = "rpc summary"
_DETAILS: Final = "rpc devdetails"
_DEVS: Final = "rpc devs"
_EDEVS: Final = "rpc edevs"
_ROOT: Final = "GET /"
_INFO: Final = "GET /api/system/info"
_CGI: Final = "GET /cgi-bin/get_system_info.cgi"

_NAME: Final = r'"Name"\s*:\s*"%s"'
_TYPE: Final = r'"Type"\s*:\s*"[^"]*%s'

SIGNATURES: Final = (
    # ePIC speaks HTTP on 4028, so that an HTTP answer comes back, whatever is sent. Any web server may listen there:
    # the answer has to name the firmware. Its page on port 80 names it as well.
    Signature(_VERSION, EPIC, r"\AHTTP/1\.[01] [\s\S]*?\b(ePIC\b|PowerPlay)"),
    Signature("GET /capabilities", EPIC, r'"(PerpetualTune|Control Board Version|Default Clock)"'),
    Signature(_VERSION, AVALON, r'"(PROD|MODEL)"\s*:\s*"[^"]*avalon'),
    Signature(_STATS, AVALON, r'"ID"\s*:\s*"(AVA\d|AVALON|AVANANO|AV[789]\d)'),
    Signature(_VERSION, BRAIINS, r"BOSMINER|BOSER|BOS_AM|braiins-"),
    Signature(_SUMMARY, BRAIINS, r'"Description"\s*:\s*"BOSminer'),
    Signature(_VERSION, LUXOS, r"LUXMINER"),
    Signature(_VERSION, WHATSMINER, r"BTMINER|BITMICRO|whatsminer"),
    Signature(_DETAILS, WHATSMINER, r"BTMINER|BITMICRO"),
    Signature(_VERSION, VNISH, _TYPE % r"\(vnish"),
    Signature(_STATS, VNISH, _TYPE % r"\(vnish"),
    Signature(_VERSION, HIVEON, _TYPE % "hiveon"),
    Signature(_STATS, HIVEON, _TYPE % "hiveon"),
    Signature(_VERSION, MSKMINER, r'"BMMiner"\s*:\s*"[^"]*rwglr'),
    Signature(_STATS, MSKMINER, r'"BMMiner"\s*:\s*"[^"]*rwglr'),
    *(
        Signature(place, family, _TYPE % mark)
        for place in (_VERSION, _STATS)
        for family, mark in ((BLISSZ, "blissz"), (ASIC_PERFORMANCE, r"\(A\.P\."), (AWESOME, "awesome"))
    ),
    Signature(_VERSION, MARATHON, r"MARAFW|KAONSU"),
    Signature(_VERSION, AURADINE, r"GCMINER|FLUXOS"),
    Signature(_SUMMARY, AURADINE, r'"Description"\s*:\s*"(GCMiner|FluxOS)'),
    Signature(_VERSION, SEALMINER, r"BDMINER"),
    Signature(_VERSION, GOLDSHELL, r"INTCHAINS_QOMO|KDAMINER"),
    Signature(_VERSION, INNOSILICON, r"INNOMINER"),
    Signature(_SUMMARY, INNOSILICON, r'"Description"\s*:\s*"innominer'),
    Signature(_STATS, INNOSILICON, r'"Description"\s*:\s*"innominer|"STATS0"\s*:'),
    Signature(_STATS, MINERVA, _TYPE % "minerva"),
    Signature(_STATS, BLACKMINER, _TYPE % "blackminer"),
    Signature(_STATS, HAMMER, _TYPE % "hammer"),
    Signature(_STATS, VOLCMINER, _TYPE % "volcminer"),
    Signature(_VERSION, BLACKMINER, _TYPE % "blackminer"),
    Signature(_VERSION, HAMMER, _TYPE % "hammer"),
    Signature(_VERSION, VOLCMINER, _TYPE % "volcminer"),
    Signature(_STATS, HONORKNIGHT, r'"ID"\s*:\s*"IT1\d"'),
    Signature(_STATS, WHATSMINER, r'"ID"\s*:\s*"SM\d"'),
    # What everybody else imitates; the marks further down are weaker than a Type.
    Signature(_VERSION, ANTMINER, _TYPE % "antminer"),
    Signature(_STATS, ANTMINER, _TYPE % "antminer"),
    Signature(_SUMMARY, STRONGU, r'"Miner type"\s*:'),
    Signature(_SUMMARY, WHATSMINER, r'"Fan Speed In"\s*:'),
    *(
        Signature(place, family, mark)
        for place in (_DETAILS, _DEVS, _EDEVS)
        for family, mark in (
            (WHATSMINER, _NAME % "SM"),
            (BAIKAL, _NAME % r"BKL\w"),
            (HONORKNIGHT, _NAME % "IT1"),
            (STRONGU, _NAME % r"u\d000"),
            (GRIDSEED, _NAME % "GSD"),
            (BW, r'cpuminer[\s\S]*"ttyS\d"'),
        )
    ),
    Signature(_CGI, ELPHAPEX, r'"minertype"\s*:\s*"DG'),
    Signature(_CGI, HAMMER, r'"minertype"\s*:\s*"[^"]*hammer'),
    Signature(_CGI, VOLCMINER, r'"minertype"\s*:\s*"[^"]*volcminer'),
    Signature(_CGI, BLACKMINER, r'"minertype"\s*:\s*"[^"]*blackminer'),
    Signature(_INFO, NMMINER, r'"hwModel"\s*:\s*"NMMiner'),
    Signature(_INFO, NMAXE, r'"identity"\s*:\s*\{'),
    Signature(_INFO, NERDQAXE, r'"(deviceModel"\s*:\s*"Nerd|asicTemps"|hostip")'),
    Signature(_INFO, BITAXE, r'"ASICModel"'),
    Signature("GET /api/axehub/v1/ping", AXEHUB, "axehub", status=(200,)),
    Signature(_ROOT, BLACKMINER_WEB, head="blackMiner", status=(401,)),
    Signature(_ROOT, ELPHAPEX, head="Daoge", status=(401,)),
    Signature(_ROOT, ANTMINER, head="antMiner Configuration", status=(401,)),
    Signature(_ROOT, MARATHON, head=r"algorithm\W+MD5", status=(401,)),
    Signature(_ROOT, FUTUREBIT, head="/overview", status=(308,)),
    Signature(_ROOT, WHATSMINER, head=r"location: https:|/cgi-bin/luci", status=(307,)),
    Signature(_ROOT, VNISH, "AnthillOS"),
    Signature(_ROOT, NERDQAXE, "Nerd(Q|Axe|Oct)"),
    Signature(_ROOT, BITAXE, "AxeOS"),
    Signature(_ROOT, AVALON, "Avalon"),
    Signature(_ROOT, EPIC, "Miner Web Dashboard"),
    Signature(_ROOT, LUXOS, "Luxor Firmware"),
    Signature(_ROOT, BRAIINS, "Braiins OS"),
    Signature(_ROOT, PROTO, "Proto OS"),
    Signature(_ROOT, AURADINE, "Miner UI"),
    Signature(_ROOT, GOLDSHELL, "cloud-box"),
    Signature(_ROOT, ICERIVER, "<title>用户界面</title>"),
    Signature(_ROOT, SEALMINER, "amazeui"),
)

COMPILED: Final = tuple(
    (
        row,
        re.compile(row.body, re.IGNORECASE) if row.body else None,
        re.compile(row.head, re.IGNORECASE) if row.head else None,
    )
    for row in SIGNATURES
)
