"""Canaan Avalon: CGMiner API with MM ID0 tokens, one connection at a time (Canaan Nano3s vendor source).

The power figures stand at different places of `PS` by product: index 6 of seven on Nano 3S, Q, Mini 3 and A12 and
newer; index 5 of seven on the Nano 3; index 4 of six on older ones, where it is the output of the supply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulator.chance import between, mix
from simulator.clock import Clock
from simulator.devices import rows
from simulator.devices.avalon_writes import Changes, Reply
from simulator.devices.base import DeviceSpec, RpcDevice, wallet
from simulator.physics import Mode, Profile, State
from simulator.rpc_server import RpcPolicy


@dataclass(frozen=True, slots=True)
class Product:
    """How a product names itself and lays its tokens out."""

    prod: str
    model: str
    version: str
    stats_id: str
    home: bool
    core: str
    limit: int
    levels: bool = False
    wrapped: bool = False


PRODUCTS: Mapping[str, Product] = {
    "nano3": Product("Avalon Nano3", "Nano3", "nano3-25021801_5a1c3f0", "AVANANO0", True, "A3198S", 140, levels=True),
    "nano3s": Product("Avalon Nano3s", "Nano3s", "Nano3s-25061101_7e02d4a", "AVALON0", True, "A3197S", 140),
    "q": Product("Avalon Q", "Q", "Q-25071501_0b9e612", "AVALON0", True, "A3197S", 1700, wrapped=True),
    "mini3": Product("Avalon Mini3", "Mini3", "Mini3-25062201_c4415de", "AVALON0", True, "A3197S", 800, wrapped=True),
    "a1246": Product("AvalonMiner 1246", "1246", "1246-83-22051101_4ec6bb0_61407fa", "AVA100", False, "A3201", 3600),
    "a1166pro": Product(
        "AvalonMiner 1166Pro", "1166Pro", "1166Pro-68-21042701_4ec6bb0", "AVA100", False, "A3200", 3400
    ),
    "a1566": Product(
        "AvalonMiner 15-194", "15-194", "15-194-25031701_8d1f9aa_77e4c02", "AVA100", False, "A3197S", 3900
    ),
}

#: WORKMODE: eco, standard, super.
_MODES = {"0": Mode(0.75, 0.68), "1": Mode(), "2": Mode(1.12, 1.2)}


def _avalon(product: str, terahash: float, watts: float, chips: int, boards: int = 1, fans: int = 1) -> Profile:
    return Profile(
        model=PRODUCTS[product].prod,
        hashrate=terahash * 1e12,
        power=watts,
        boards=boards,
        chips=chips,
        fans=fans,
        fan_max=4300.0,
        frequency=400e6,
        core_voltage=0.29,
        supply_voltage=12.0,
        chip_target=75.0,
        difficulty=8192.0 if boards == 1 else 262144.0,
        modes=_MODES,
        mode="1",
    )


def _numbers(values: list[int] | list[float]) -> str:
    return " ".join(str(value) for value in values)


class Avalon(RpcDevice):
    """An Avalon; the Nanos are the business of `avalon_nano`, all others of `avalon`."""

    kind = "avalon"
    driver = "avalon"
    make = "Canaan"
    models: ClassVar[Mapping[str, Profile]] = {
        "nano3": _avalon("nano3", 4.0, 138.0, 10),
        "nano3s": _avalon("nano3s", 6.4, 133.0, 12),
        "q": _avalon("q", 88.0, 1650.0, 160, fans=4),
        "mini3": _avalon("mini3", 37.0, 790.0, 66, fans=1),
        "a1246": _avalon("a1246", 88.0, 3400.0, 120, boards=3, fans=4),
        "a1166pro": _avalon("a1166pro", 78.0, 3300.0, 120, boards=3, fans=4),
        "a1566": _avalon("a1566", 190.0, 3680.0, 160, boards=3, fans=2),
    }
    rpc_policy = RpcPolicy(one_at_a_time=True, receive=4095, idle_seconds=10.0)

    def __init__(self, spec: DeviceSpec, clock: Clock, *, compact: float = 0.0) -> None:
        super().__init__(spec, clock, compact=compact)
        self.product = PRODUCTS[spec.model]
        self.dna = f"0201{mix(spec.seed, 6) % 16**12:012x}"
        self.changes = Changes(self)

    @property
    def serial(self) -> str | None:
        """The controller's DNA."""
        return self.dna

    @property
    def served_by(self) -> str | None:
        """The Nanos have a driver of their own."""
        return "avalon_nano" if self.spec.model.startswith("nano") else "avalon"

    def state(self) -> State:
        """The state now, after what was due until now."""
        self.changes.settle(self.clock.now())
        return self.changes.settings.shown(super().state())

    def rpc(self, payload: bytes) -> bytes | None:
        """Nothing comes while it restarts."""
        return None if self.away else super().rpc(payload)

    def document(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """The reply of one command; None where it goes away without one."""
        asked = self.changes.read(name, parameter)
        if asked is None:
            return super().document(name, parameter)
        if isinstance(asked, Reply):
            # What `setpool` holds is not kept: two passwords are in it.
            self.write(f"rpc {name}|{'***' if name == 'setpool' else parameter or ''}")
            return self._said(asked)
        if self.accept(asked.line) and (asked.reply is None or asked.reply.letter != "E"):
            asked.act()
            self.forget_rendered()
        return None if asked.reply is None else self._said(asked.reply)

    def _said(self, reply: Reply) -> dict[str, Any]:
        return self.status(reply.letter, reply.code, reply.message)

    def command(self, name: str, parameter: str | None) -> dict[str, Any] | None:
        """Reads."""
        state = self.state()
        match name:
            case "version":
                return self.section(22, "CGMiner versions", "VERSION", [self._version()])
            case "summary":
                return self.section(11, "Summary", "SUMMARY", [rows.summary(state)])
            case "devs":
                return self.section(
                    9, "1 ASC(s)", "DEVS", [rows.device(state, "AVALON" if self.product.home else "AVA10")]
                )
            case "pools":
                table = rows.pools(state, f"{wallet(self.spec.seed)}.avalon", count=3)
                for row in table:
                    chosen = self.changes.settings.pools.get(row["POOL"])
                    if chosen is not None:
                        row |= {"URL": chosen.url, "User": chosen.user}
                    row |= {"Stratum Difficulty": state.difficulty if row["POOL"] == 0 else 0.0, "Bad Work": 0}
                return self.section(7, "3 Pool(s)", "POOLS", table)
            case "stats" | "estats" | "litestats":
                return self.rendered(name, lambda: self._stats(name))
            case "devdetails":
                row = {"DEVDETAILS": 0, "Name": "AVALON", "ID": 0, "Driver": "avalon", "Kernel": "", "Model": ""}
                return self.section(69, "Device Details", "DEVDETAILS", [row])
            case "config":
                row = {"ASC Count": 1, "PGA Count": 0, "Pool Count": 3, "Strategy": "Failover", "OS": "Linux"}
                return self.section(33, "CGMiner config", "CONFIG", [row])
            case "coin":
                row = {"Hash Method": "sha256", "LP": True, "Network Difficulty": 130e12}
                return self.section(78, "CGMiner coin", "COIN", [row])
        return None

    def _version(self) -> dict[str, Any]:
        release = self.product.version.split("-")[-1]
        return {
            "CGMiner": "4.11.1",
            "API": "3.7",
            "PROD": self.product.prod,
            "MODEL": self.product.model,
            "HWTYPE": "N_MM1v1_X1" if self.product.home else "MM4v2_X3",
            "SWTYPE": "MM319",
            ("LVERSION" if self.product.home else "VERSION"): release,
            "CGVERSION": release,
            "DNA": self.dna,
            "MAC": self.spec.mac.replace(":", ""),
            "UPAPI": "2",
        }

    def _stats(self, name: str) -> dict[str, Any]:
        state = self.state()
        entry: dict[str, Any] = {
            "STATS": 0,
            "ID": self.product.stats_id,
            "Elapsed": int(state.mining_uptime),
            "Calls": 0,
            "Wait": 0.0,
            "Max": 0.0,
            "Min": 99999999.0,
        }
        tokens = self.tokens(state, chips=name != "litestats" and not self.product.wrapped)
        if self.product.wrapped:
            entry["MM ID0:Summary"] = f"'STATS':{{{tokens}}}"
            if name != "litestats":
                entry["HBinfo"] = f"'HB0':{{{self._chip_tokens(state, 0)}}}"
        else:
            entry["MM ID0"] = tokens
        entry |= {"MM Count": 1, "Nonce Mask": 25}
        return self.section(70, "CGMiner stats", "STATS", [entry])

    def power_supply(self, state: State) -> str:
        """`PS`: error, control-board supply, output voltage, current, output power, target voltage, wall power."""
        watts = round(state.power)
        output = round(state.power * 0.94)
        if self.spec.model == "nano3":
            return _numbers([0, 0, 0, 3, 2780, watts, 320])
        if self.spec.model == "nano3s":
            return _numbers([0, 0, 27690, 4, 0, 3680, watts])
        if self.spec.model == "a1166pro":
            return _numbers([0, 1197, 1240, round(output / 12.4), output, 1240])
        return _numbers([0, 1215, 1190, round(output / 11.9), output, 1190, watts])

    def _status_word(self, state: State) -> str:
        word = {
            "mining": "In Work",
            "tuning": "In Work",
            "starting": "In Init",
            "paused": "In Idle",
            "fault": "In Fault",
        }
        return f"Work: {word[state.state]}, Hash Board: {self.profile.boards}"

    def _chip_tokens(self, state: State, number: int) -> str:
        board = state.boards[number]
        chips = range(self.profile.chips)
        heat = " ".join(f"{self.physics.chip_temperature(board, chip):3.0f}" for chip in chips)
        volts = _numbers([round(board.voltage * 1e3) + mix(self.spec.seed, chip) % 9 - 4 for chip in chips])
        return f"PVT_T{number}[{heat}] PVT_V{number}[{volts}]"

    def tokens(self, state: State, *, chips: bool) -> str:
        """The `Key[value]` text of one controller."""
        boards = state.boards
        giga = 1e9
        errors = [board.hardware_errors for board in boards]
        hottest = max(board.chip_max for board in boards)
        middle = sum(board.chip_avg for board in boards) / len(boards)
        home = self.product.home
        parts = [
            f"Ver[{self.product.version}]",
            f"DNA[{self.dna}]",
            "MEMFREE[64000]",
            "NETFAIL[0 0 0 0 0 0 0 0]",
            f"SYSTEMSTATU[{self._status_word(state)}{'' if home else ' '}]",
            f"Elapsed[{int(state.uptime)}]",
            "BOOTBY[0x01.00000000]",
            f"LW[{int(state.mining_uptime * 700)}]",
            f"MH[{_numbers(errors)}]",
            "DHW[0]",
            f"HW[{sum(errors)}]",
            f"DH[{between(1.0, 2.5, self.spec.seed, 121):.3f}%]",
        ]
        parts += self._heat(state, middle, hottest)
        parts += [f"Fan{number}[{round(speed)}]" for number, speed in enumerate(state.fans, 1)]
        parts += [
            f"FanR[{round(state.duty * 100)}%]",
            f"PS[{self.power_supply(state)}]",
            f"GHSspd[{state.hashrate / giga:.2f}]",
            "DHspd[1.500%]",
            f"GHSmm[{self.profile.hashrate * 1.02 / giga:.2f}]",
            # Averages do not fall to zero when an idle device stops hashing.
            f"GHSavg[{state.average / giga:.2f}]",
            f"WU[{state.average / giga * 13.97:.2f}]",
            f"Freq[{boards[0].frequency / 1e6:.2f}]",
            f"MGHS[{_numbers([round(state.average / len(boards) / giga, 2) for _ in boards])}]",
            f"MTmax[{_numbers([round(board.chip_max) for board in boards])}]",
            f"MTavg[{_numbers([round(board.chip_avg) for board in boards])}]",
            f"TA[{sum(board.chips for board in boards)}]",
            f"Core[{self.product.core}]",
            f"PING[{round(between(15, 90, self.spec.seed, 122, int(state.time) // 30))}]",
            f"SoftOFF[{4 if state.state == 'paused' else 0}]",
            f"ECHU[{_numbers([0 for _ in boards])}]",
            f"ECMM[{1 if state.state == 'fault' else 0}]",
        ]
        if not home and self.spec.model != "a1166pro":
            parts.append(f"WALLPOWER[{round(state.power)}]")
        if not home:
            parts.append(f"Led[{int(self.changes.settings.led)}]")
        if chips:
            parts += [self._chip_tokens(state, number) for number in range(len(boards))]
        parts += ["CRC[0]" if home else "CRC[0 0 0]", *self._mode_tokens(state)]
        return " ".join(parts)

    def _heat(self, state: State, middle: float, hottest: float) -> list[str]:
        parts = []
        match self.spec.model:
            case "nano3":
                parts = [f"Temp[{round(state.ambient + 10)}]", f"OTemp[{round(state.boards[0].outlet)}]"]
            case "nano3s":
                parts = ["ITemp[-273]", f"OTemp[{round(state.boards[0].outlet)}]"]
            case "q":
                inlet, outlet = round(state.boards[0].inlet), round(state.boards[0].outlet)
                parts = [f"ITemp[{round(state.ambient)}]", f"HBITemp[{inlet}]", f"HBOTemp[{outlet}]"]
            case "mini3":
                parts = [f"ITemp[{round(state.ambient)}]", f"HBTemp[{round(state.boards[0].outlet)}]"]
            case _:
                parts = [f"Temp[{round(state.ambient)}]"]
        parts += [f"TMax[{round(hottest)}]", f"TAvg[{round(middle)}]"]
        return [*parts, f"TarT[{round(self.profile.chip_target)}]"] if self.product.home else parts

    def _mode_tokens(self, state: State) -> list[str]:
        calibrates = self.clock.now() < self.changes.settings.calibrating_until
        adjusted = f"ADJ[{int(not calibrates)}]"
        if not self.product.home:
            return [] if self.spec.model == "a1166pro" else [adjusted, f"WORKMODE[{state.mode}]"]
        limit = f"MPO[{self.product.limit}]"
        if self.product.levels:
            return [f"WORKLEVEL[{state.mode}]", limit, adjusted]
        return [f"WORKMODE[{state.mode}]", "WORKLEVEL[0]", limit, "CALIALL[7]", adjusted]
