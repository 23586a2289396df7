"""Bitmain's own firmware: CGI pages behind digest authentication, and the CGMiner port.

Modern firmware (S19 and newer) has summary.cgi, stats.cgi and pools.cgi; the generation before has
get_miner_status.cgi; an S9 numbers its boards 6 to 8 and forgets a comma in `stats`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulator.chance import mix
from simulator.clock import Clock
from simulator.devices import rows
from simulator.devices.base import DeviceSpec, RpcDevice, suffixed, upper_mac, wallet
from simulator.devices.digest import Digest
from simulator.devices.vnish_documents import clock_text
from simulator.http_server import HttpPolicy, Request, Response, json_response
from simulator.physics import Mode, Profile, State

REALM = "antMiner Configuration"


@dataclass(frozen=True, slots=True)
class Generation:
    """How a model's firmware answers."""

    cgi: str  # "modern", "old" or "none"
    miner: str
    compiled: str
    slots: tuple[int, ...]
    fans: tuple[int, ...]
    joins: bool = True
    missing_comma: bool = False
    texts: bool = False
    drops_first: bool = False


_FOUR = (1, 2, 3, 4)
GENERATIONS: Mapping[str, Generation] = {
    "s19": Generation("modern", "49.0.1.3", "Fri Mar 10 10:20:30 CST 2023", (1, 2, 3), _FOUR),
    "s21": Generation("modern", "88.0.1.3", "Mon Feb 12 09:10:11 CST 2024", (1, 2, 3), _FOUR, joins=False),
    "s19-drops": Generation("modern", "49.0.1.3", "Fri Mar 10 10:20:30 CST 2023", (1, 2, 3), _FOUR, drops_first=True),
    "s17": Generation("old", "49.0.1.3", "Tue Nov 05 08:07:06 CST 2019", (1, 2, 3), _FOUR, texts=True),
    "s9": Generation(
        "none", "16.8.1.3", "Thu Jun 15 12:13:14 CST 2017", (6, 7, 8), (3, 6), missing_comma=True, texts=True
    ),
    "s9-web": Generation(
        "old", "16.8.1.3", "Thu Jun 15 12:13:14 CST 2017", (6, 7, 8), (3, 6), missing_comma=True, texts=True
    ),
}


def _profile(model: str, terahash: float, watts: float, chips: int, megahertz: float, fans: int = 4) -> Profile:
    return Profile(
        model=f"Antminer {model}",
        hashrate=terahash * 1e12,
        power=watts,
        boards=3,
        chips=chips,
        fans=fans,
        frequency=megahertz * 1e6,
        core_voltage=13.7,
        chip_target=70.0,
        difficulty=131072.0,
        modes={"0": Mode(), "3": Mode(0.85, 0.72)},
        mode="0",
    )


class Antminer(RpcDevice):
    """An Antminer with stock firmware. The user is root, and so is the password."""

    kind = "antminer"
    driver = "antminer"
    make = "Bitmain"
    models: ClassVar[Mapping[str, Profile]] = {
        "s19": _profile("S19", 95.0, 3250.0, 76, 675),
        "s21": _profile("S21", 200.0, 3500.0, 108, 490),
        "s19-drops": _profile("S19", 95.0, 3250.0, 76, 675),
        "s17": _profile("S17", 53.0, 2385.0, 48, 600),
        "s9": _profile("S9", 13.5, 1350.0, 63, 650, fans=2),
        "s9-web": _profile("S9", 13.5, 1350.0, 63, 650, fans=2),
    }
    description = "cgminer 1.0.0"

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.generation = GENERATIONS[spec.model]
        self.joins = self.generation.joins
        self.listens = ("rpc",) if self.generation.cgi == "none" else ("http", "rpc")
        self.tells_mac = self.generation.cgi != "none"
        self.login = Digest(REALM, "root", "root", spec.seed)
        self.http_policy = HttpPolicy(
            server="lighttpd/1.4.32",
            idle_seconds=5.0,
            denied_headers=(("WWW-Authenticate", f'Digest realm="{REALM}", nonce="0", qop="auth"'),),
        )
        self._dropped_until = 0.0

    @property
    def serial(self) -> str | None:
        """The serial in get_system_info.cgi."""
        return None if self.generation.cgi != "modern" else f"SIMA{mix(self.spec.seed, 7) % 10**12:012d}"

    def change_password(self, password: str | None) -> None:
        """Another password; nonces stay, they are worth nothing without it."""
        self.login.password = "root" if password is None else password

    # HTTP -----------------------------------------------------------------------------------------------------

    def http(self, request: Request) -> Response:
        """Everything is behind the login."""
        now = self.clock.now()
        verdict = self.login.check(request, now)
        if verdict == "none" and self.generation.drops_first and now > self._dropped_until:
            # Some units close the first connection that comes without credentials.
            self._dropped_until = now + 20.0
            return Response(drop=True)
        if verdict != "ok":
            self.records.denied += verdict == "wrong"
            challenge = self.login.challenge(now, stale=verdict == "stale")
            return Response(401, _DENIED, "text/html", (challenge,))
        if request.method not in ("GET", "HEAD"):
            self.write(f"{request.method} {request.path}")
            return Response(404, _MISSING, "text/html")
        if request.path == "/":
            return Response(200, _INDEX, "text/html")
        page = request.path.removeprefix("/cgi-bin/").removesuffix(".cgi")
        document = self._page(page) if request.path == f"/cgi-bin/{page}.cgi" else None
        return Response(404, _MISSING, "text/html") if document is None else json_response(document)

    def _page(self, page: str) -> dict[str, Any] | None:
        modern = self.generation.cgi == "modern"
        match page:
            case "get_system_info":
                return self.system_info()
            case "get_miner_conf":
                return self.miner_conf()
            case "get_network_info":
                return self.network_info()
            case "summary" if modern:
                return self.rendered(page, lambda: self.web_summary(self.state()))
            case "stats" if modern:
                return self.rendered(page, lambda: self.web_stats(self.state()))
            case "pools" if modern:
                return self.rendered(page, lambda: self.web_pools(self.state()))
            case "get_blink_status" if modern:
                return {"blink": False}
            case "get_miner_status" if not modern:
                return self.rendered(page, lambda: self.miner_status(self.state()))
        return None

    def system_info(self) -> dict[str, Any]:
        """get_system_info.cgi."""
        document: dict[str, Any] = {
            "minertype": self.profile.model,
            "nettype": "DHCP",
            "netdevice": "eth0",
            "macaddr": upper_mac(self.spec.mac),
            "hostname": "Antminer",
            "ipaddress": self.address,
            "netmask": "255.255.255.0",
            "gateway": "192.0.2.1",
            "dnsservers": "192.0.2.1",
            "system_mode": "GNU/Linux",
            "system_kernel_version": "Linux 4.9.113 #1 SMP PREEMPT",
            "system_filesystem_version": self.generation.compiled,
            "firmware_type": "Release",
        }
        if self.generation.cgi == "modern":
            document |= {"Algorithm": "sha256d", "serinum": self.serial}
        return document

    def network_info(self) -> dict[str, Any]:
        """get_network_info.cgi."""
        return {
            "nettype": "DHCP",
            "netdevice": "eth0",
            "macaddr": upper_mac(self.spec.mac),
            "ipaddress": self.address,
            "netmask": "255.255.255.0",
            "conf_nettype": "DHCP",
            "conf_hostname": "Antminer",
            "conf_ipaddress": "",
            "conf_netmask": "",
            "conf_gateway": "",
            "conf_dnsservers": "",
        }

    def work_mode(self) -> str:
        """0 normal, 1 sleeping, 3 low power."""
        return "1" if self.physics.paused else self.physics.mode

    def miner_conf(self) -> dict[str, Any]:
        """get_miner_conf.cgi."""
        user = f"{wallet(self.spec.seed)}.ant"
        pools = [
            {"url": f"stratum+tcp://{name}.example.com:333{3 + number}", "user": user, "pass": "x"}
            for number, name in enumerate(("pool", "backup", "third"))
        ]
        return {
            "pools": pools,
            "api-listen": True,
            "api-network": True,
            "api-groups": "A:stats:pools:devs:summary:version",
            "api-allow": "A:0/0,W:*",
            "bitmain-fan-ctrl": False,
            "bitmain-fan-pwm": "100",
            "bitmain-use-vil": True,
            "bitmain-freq": str(round(self.profile.frequency / 1e6)),
            "bitmain-voltage": "1370",
            "bitmain-work-mode": self.work_mode(),
            "bitmain-freq-level": "100",
        }

    def _envelope(self, name: str, section: str, table: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "STATUS": {"STATUS": "S", "when": int(self.clock.now()), "Msg": name, "api_version": "1.0.0"},
            "INFO": {
                "miner_version": self.generation.miner,
                "CompileTime": self.generation.compiled,
                "type": self.profile.model,
            },
            section: table,
        }

    def _web_rates(self, state: State) -> dict[str, Any]:
        idle = state.hashrate == 0.0
        return {
            "elapsed": int(state.mining_uptime),
            "rate_5s": round(state.hashrate / 1e9, 2),
            "rate_30m": round(state.hashrate_15m / 1e9, 2),
            "rate_avg": round(state.average / 1e9, 2),
            "rate_ideal": 0.0 if idle else round(state.expected / 1e9, 2),
            # An idle miner changes the unit.
            "rate_unit": "H/s" if idle and not state.average else "GH/s",
        }

    def web_summary(self, state: State) -> dict[str, Any]:
        """summary.cgi."""
        hot = {"status": "e", "code": 3, "msg": "temperature too high"} if state.state == "fault" else None
        good = {"status": "s", "code": 0, "msg": ""}
        stopped = {"status": "e", "code": 2, "msg": "fan lost"} if 0.0 in state.fans else None
        checks = [
            {"type": kind, **(bad or good)}
            for kind, bad in (("rate", None), ("network", None), ("fans", stopped), ("temp", hot))
        ]
        row = self._web_rates(state) | {
            "hw_all": state.hardware_errors,
            "bestshare": round(state.best),
            "status": checks,
        }
        return self._envelope("summary", "SUMMARY", [row])

    def web_stats(self, state: State) -> dict[str, Any]:
        """stats.cgi."""
        chains = []
        for board in state.boards:
            inlet, outlet = round(board.inlet), round(board.outlet)
            cool, hot = round(board.chip_min), round(board.chip_max)
            chains.append(
                {
                    "index": board.number,
                    "freq_avg": round(board.frequency / 1e6),
                    "rate_ideal": round(board.expected / 1e9, 2),
                    "rate_real": round(board.hashrate / 1e9, 2),
                    "asic_num": board.chips,
                    "asic": _chip_letters(board.chips),
                    "temp_pic": [inlet - 6, inlet - 5, outlet - 6, outlet - 5],
                    "temp_pcb": [inlet, inlet + 1, outlet, outlet + 1],
                    "temp_chip": [cool, cool + 1, hot - 1, hot],
                    "hw": board.hardware_errors,
                    "eeprom_loaded": True,
                    "sn": f"SIMB{mix(self.spec.seed, 8, board.number) % 10**12:012d}",
                    "hwp": 0.00002,
                }
            )
        sleeping = self.physics.paused
        row = self._web_rates(state) | {
            "chain_num": len(chains),
            "fan_num": 0 if sleeping else len(state.fans),
            "fan": [] if sleeping else [int(speed) for speed in state.fans],
            "hwp_total": 0.0001,
            "miner-mode": int(self.work_mode()),
            "freq-level": 100,
            "chain": chains,
        }
        return self._envelope("stats", "STATS", [row])

    def web_pools(self, state: State) -> dict[str, Any]:
        """pools.cgi."""
        table = [
            {
                "index": row["POOL"],
                "url": row["URL"],
                "user": row["User"],
                "status": row["Status"],
                "priority": row["Priority"],
                "getworks": row["Getworks"],
                "accepted": row["Accepted"],
                "rejected": row["Rejected"],
                "discarded": 0,
                "stale": row["Stale"],
                "diff": suffixed(state.difficulty).upper() if row["POOL"] == 0 else "",
                "diff1": row["Diff1 Shares"],
                "diffa": row["Difficulty Accepted"],
                "diffr": row["Difficulty Rejected"],
                "diffs": row["Difficulty Stale"],
                "lsdiff": row["Last Share Difficulty"],
                "lstime": row["Last Share Time"],
            }
            for row in self._pool_rows(state)
        ]
        return self._envelope("pools", "POOLS", table)

    def miner_status(self, state: State) -> dict[str, Any]:
        """get_miner_status.cgi of the firmware before S19: figures are text with separators."""
        summary = {
            "elapsed": str(int(state.mining_uptime)),
            "ghs5s": f"{state.hashrate / 1e9:,.2f}",
            "ghsav": f"{state.average / 1e9:,.2f}",
            "foundblocks": "0",
            "accepted": f"{state.accepted:,}",
            "rejected": str(state.rejected),
            "hw": str(state.hardware_errors),
            "stale": str(state.stale),
            "bestshare": f"{round(state.best):,}",
        }
        pools = [
            {
                "index": str(row["POOL"]),
                "url": row["URL"],
                "user": row["User"],
                "status": row["Status"],
                "priority": str(row["Priority"]),
                "accepted": f"{row['Accepted']:,}",
                "rejected": str(row["Rejected"]),
                "stale": str(row["Stale"]),
            }
            for row in self._pool_rows(state)
        ]
        devs = [
            {
                "index": str(slot),
                "chain_acn": str(board.chips),
                "freqavg": str(round(board.frequency / 1e6)),
                "rate": f"{board.hashrate / 1e9:.2f}",
                "hw": str(board.hardware_errors),
                "temp": str(round(board.outlet)),
                "temp2": str(round(board.chip_max)),
                "chain_acs": _chip_letters(board.chips),
            }
            for slot, board in zip(self.generation.slots, state.boards, strict=True)
        ]
        return {"summary": summary, "pools": pools, "devs": devs}

    # Port 4028 ------------------------------------------------------------------------------------------------

    def _pool_rows(self, state: State) -> list[dict[str, Any]]:
        ago = clock_text(state.time - state.last_share) if state.accepted else "0"
        table = rows.pools(state, f"{wallet(self.spec.seed)}.ant", count=3, last_share=ago)
        for row in table:
            row["Diff"] = suffixed(state.difficulty).upper() if row["POOL"] == 0 else ""
            # The firmware's own misspellings.
            row["Pool Stale%%"] = row.pop("Pool Stale%")
            if row["POOL"] == 2:
                row["Status"] = "Deed"
        return table

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Reads."""
        state = self.state()
        match name:
            case "version":
                row = {
                    "BMMiner": "1.0.0",
                    "API": "3.1",
                    "Miner": self.generation.miner,
                    "CompileTime": self.generation.compiled,
                    "Type": self.profile.model,
                }
                return self.section(22, "CGMiner versions", "VERSION", [row])
            case "summary":
                row = rows.summary(state, "GHS") | {"GHS 30m": round(state.hashrate_15m / 1e9, 2)}
                if self.generation.texts:
                    row["GHS 5s"] = f"{row['GHS 5s']:.3f}"
                return self.section(11, "Summary", "SUMMARY", [row])
            case "pools":
                return self.section(7, "3 Pool(s)", "POOLS", self._pool_rows(state))
            case "stats":
                return self.rendered(name, lambda: self.section(70, "CGMiner stats", "STATS", self._stats_rows(state)))
            case "devs":
                return self.section(9, "1 ASC(s)", "DEVS", [self._dev_row(state)])
            case "config" | "devdetails":
                return self.status("E", 45, f"Access denied to '{name}' command")
        return None

    def _dev_row(self, state: State) -> dict[str, Any]:
        row = rows.device(state, "BTM_SOC")
        row["Tenperature"] = row.pop("Temperature")
        # What is called MHS holds GH/s on an S21 and nothing on the others.
        known = self.spec.model == "s21"
        row["MHS 5s"] = round(state.hashrate / 1e9, 2) if known else 0.0
        row["MHS av"] = round(state.average / 1e9, 2) if known else 0.0
        return row

    def _stats_rows(self, state: State) -> list[dict[str, Any]]:
        generation = self.generation
        head = {
            "BMMiner": "1.0.0",
            "Miner": generation.miner,
            "CompileTime": generation.compiled,
            "Type": self.profile.model,
        }
        now = round(state.hashrate / 1e9, 2)
        clock = round(state.boards[0].frequency / 1e6)
        row: dict[str, Any] = {
            "STATS": 0,
            "ID": "BC50" if generation.texts else "BTM_SOC0",
            "Elapsed": int(state.mining_uptime),
            "Calls": 0,
            "Wait": 0.0,
            "Max": 0.0,
            "Min": 99999999.0,
            "GHS 5s": f"{now:.2f}" if generation.texts else now,
            "GHS av": round(state.average / 1e9, 2),
            "miner_count": len(state.boards),
            "frequency": str(clock) if generation.texts else clock,
            "fan_num": len(state.fans),
        }
        last = 8 if generation.texts else 4
        speeds = dict(zip(generation.fans, state.fans, strict=True))
        row |= {f"fan{number}": int(speeds.get(number, 0)) for number in range(1, last + 1)}
        boards = dict(zip(generation.slots, state.boards, strict=True))
        for slot in range(1, (16 if generation.texts else 4) + 1):
            board = boards.get(slot)
            row[f"temp{slot}"] = round(board.outlet) if board else 0
            row[f"temp2_{slot}"] = round(board.chip_max) if board else 0
            row[f"freq_avg{slot}"] = round(board.frequency / 1e6, 2) if board else 0.0
            row[f"chain_acn{slot}"] = board.chips if board else 0
            row[f"chain_acs{slot}"] = " " + _chip_letters(board.chips) if board else ""
            row[f"chain_hw{slot}"] = board.hardware_errors if board else 0
            row[f"chain_rate{slot}"] = f"{board.hashrate / 1e9:.2f}" if board else ""
            row[f"chain_rateideal{slot}"] = round(board.expected / 1e9, 2) if board else 0.0
            if not generation.texts:
                cool, hot = (round(board.chip_min), round(board.chip_max)) if board else (0, 0)
                row[f"temp_chip{slot}"] = f"{cool}-{cool}-{hot}-{hot}"
                inlet, outlet = (round(board.inlet), round(board.outlet)) if board else (0, 0)
                row[f"temp_pcb{slot}"] = f"{inlet}-{inlet}-{outlet}-{outlet}"
        row |= {
            "total_rateideal": round(state.expected / 1e9, 2),
            "total_acn": sum(board.chips for board in state.boards),
            "total_rate": now,
            "temp_max": max(round(board.outlet) for board in state.boards),
            "Device Hardware%": 0.0005,
            "no_matching_work": state.hardware_errors,
            "miner_version": generation.miner,
            "miner_id": f"{mix(self.spec.seed, 9):016x}",
        }
        if not generation.texts:
            row["rate_unit"] = "GH"
        return [head, row]

    def encode(self, document: dict[str, Any], name: str) -> bytes:
        """Old firmware forgets the comma between the rows of `stats`."""
        data = json.dumps(document, separators=(",", ":")).encode()
        if name == "stats" and self.generation.missing_comma:
            return data.replace(b'"},{"STATS":0', b'"}{"STATS":0')
        return data


def _chip_letters(chips: int) -> str:
    """ "ooo ooo ..." with a letter per chip."""
    letters = "o" * chips
    return " ".join(letters[start : start + 8] for start in range(0, chips, 8))


_DENIED = (
    b'<?xml version="1.0" encoding="iso-8859-1"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'
    b"<head><title>401 - Unauthorized</title></head><body><h1>401 - Unauthorized</h1></body></html>\n"
)
_MISSING = b"<html><head><title>404 - Not Found</title></head><body><h1>404 - Not Found</h1></body></html>\n"
_INDEX = b"<!DOCTYPE html><html><head><title>Ant Miner</title></head><body></body></html>\n"
