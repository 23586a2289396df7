"""Bitmain's own firmware: CGI pages behind digest authentication, and the CGMiner port.

Modern firmware (S19 and newer) has summary.cgi, stats.cgi and pools.cgi; the generation before has
get_miner_status.cgi.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from simulator.chance import mix
from simulator.clock import Clock
from simulator.devices.antminer_control import AntminerControl
from simulator.devices.antminer_port import GENERATIONS, AntminerPort, chip_letters
from simulator.devices.base import DeviceSpec, suffixed, upper_mac
from simulator.devices.digest import Digest
from simulator.http_server import HttpPolicy, Request, Response, json_response
from simulator.physics import Mode, Profile, State

REALM = "antMiner Configuration"


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


class Antminer(AntminerPort):
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
        self.control = AntminerControl(self, modern=self.generation.cgi == "modern")
        self._dropped_until = 0.0

    @property
    def serial(self) -> str | None:
        """The serial in get_system_info.cgi."""
        return None if self.generation.cgi != "modern" else f"SIMA{mix(self.spec.seed, 7) % 10**12:012d}"

    def change_password(self, password: str | None) -> None:
        """Another password; nonces stay, they are worth nothing without it."""
        self.login.password = "root" if password is None else password

    def owned_pools(self) -> Sequence[Mapping[str, str]]:
        """The pools as they are set."""
        return self.control.pools

    def state(self) -> State:
        """The state now, with the fans at the speed they are set to."""
        return self.control.with_fans(super().state())

    def rpc(self, payload: bytes) -> bytes | None:
        """Nothing while the miner boots."""
        return None if self.clock.now() < self.control.away_until else super().rpc(payload)

    # HTTP -----------------------------------------------------------------------------------------------------

    def http(self, request: Request) -> Response:
        """Everything is behind the login."""
        now = self.clock.now()
        if now < self.control.away_until:
            return Response(drop=True)
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
            done = self.control.post(request)
            return Response(404, _MISSING, "text/html") if done is None else done
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
                return self.control.conf()
            case "get_network_info":
                return self.network_info()
            case "summary" if modern:
                return self.rendered(page, lambda: self.web_summary(self.state()))
            case "stats" if modern:
                return self.rendered(page, lambda: self.web_stats(self.state()))
            case "pools" if modern:
                return self.rendered(page, lambda: self.web_pools(self.state()))
            case "get_blink_status" if modern:
                return {"blink": self.control.blinks}
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
                    "asic": chip_letters(board.chips),
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
            "miner-mode": self.control.work_mode(),
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
            for row in self.pool_rows(state)
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
            for row in self.pool_rows(state)
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
                "chain_acs": chip_letters(board.chips),
            }
            for slot, board in zip(self.generation.slots, state.boards, strict=True)
        ]
        return {"summary": summary, "pools": pools, "devs": devs}


_DENIED = (
    b'<?xml version="1.0" encoding="iso-8859-1"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'
    b"<head><title>401 - Unauthorized</title></head><body><h1>401 - Unauthorized</h1></body></html>\n"
)
_MISSING = b"<html><head><title>404 - Not Found</title></head><body><h1>404 - Not Found</h1></body></html>\n"
_INDEX = b"<!DOCTYPE html><html><head><title>Ant Miner</title></head><body></body></html>\n"
