"""The dashboard Home and solo: luck, the chance of a block, WiFi, memory, boards on USB."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana.source import looks, variables
from grafana.source.board import Row, dashboard
from grafana.source.panels import Panel, bars, figure, lines, states
from grafana.source.queries import chosen, identity_table, kept, named, of, paged, per_miner
from grafana.source.tables import ADDRESS, Column, rows
from grafana.source.tables import MINER as NAME

_RATE = f"sum({chosen(of('miner_hashrate_hashes_per_second'))})"
_NETWORK = f"max({chosen(of('miner_network_difficulty'))})"
_BY_NAME = "max by (miner, name, ip)"
#: What a miner that tells its present USB state is in, as a code for the strip of colours.
_USB_STATES = (
    "Mining", "Mining Authorize", "Mining Subscribe", "DNS Resolved", "CONNECTED IP", "MINER HW Task Started",
    "WORKER Started", "Booting", "Not Connected",
)  # fmt: skip
_USB_COLOURS = (
    looks.GREEN, "semi-dark-green", "light-green", "light-yellow", looks.YELLOW, "semi-dark-yellow", "light-orange",
    looks.ORANGE, looks.RED,
)  # fmt: skip


def _luck() -> list[Panel]:
    return [
        figure(
            "Best share ever",
            "The best of the chosen miners. A block needs a share of at least the network's difficulty.",
            f"max({chosen(of('miner_best_share_difficulty'))})",
            looks.DIFFICULTY,
            width=4,
        ),
        figure(
            "Network difficulty",
            "As the miners know it; absent where none tells it.",
            _NETWORK,
            looks.DIFFICULTY,
            width=4,
        ),
        figure(
            "Best share to a block",
            "The best share ever over the network's difficulty; 100 % was a block.",
            f"max({chosen(of('miner_best_share_difficulty'))}) / ({_NETWORK} > 0)",
            looks.RATIO,
            width=4,
            decimals=6,
        ),
        figure(
            "A block on average every",
            "Network difficulty times 2^32 over the hash rate of the chosen miners. Luck has no memory.",
            f"2 ^ 32 * {_NETWORK} / ({_RATE} > 0)",
            looks.DURATION,
            width=4,
        ),
        figure(
            "Chance of a block within a year",
            "One less the chance that no share of a year is good enough, at the present hash rate and difficulty.",
            f"1 - exp(-31557600 * {_RATE} / (2 ^ 32 * {_NETWORK} > 0))",
            looks.RATIO,
            width=4,
            decimals=4,
        ),
        figure(
            "Blocks found",
            "As the miners count them.",
            f"sum({chosen(of('miner_blocks_found_total'))})",
            width=4,
            decimals=0,
        ),
        bars(
            "Best share of each miner",
            "Of each miner, the best twenty.",
            f"sort_desc(topk(20, {_BY_NAME} ({named(of('miner_best_share_difficulty'))})))",
            "{{name}}",
            looks.DIFFICULTY,
            width=8,
            height=10,
            linked=True,
        ),
        bars(
            "Best share since the start",
            "Of each miner since it booted, the best twenty.",
            f"sort_desc(topk(20, {_BY_NAME} ({named(of('miner_session_best_share_difficulty'))})))",
            "{{name}}",
            looks.DIFFICULTY,
            width=8,
            height=10,
            linked=True,
        ),
        lines(
            "Best shares over time",
            "The ten best; a step up is a new record.",
            [(f"topk(10, {_BY_NAME} ({named(of('miner_best_share_difficulty'))}))", "{{name}}")],
            looks.DIFFICULTY,
            width=8,
            height=10,
            linked=True,
        ),
    ]


def _health() -> list[Panel]:
    def course(metric: str) -> list[tuple[str, str]]:
        return [(f"bottomk(20, {_BY_NAME} ({named(of(metric))}))", "{{name}}")]

    memory = of("miner_system_memory_free_bytes", 'region=~"all|internal"')
    return [
        lines(
            "WiFi signal",
            "The twenty weakest; below -80 dBm shares get lost.",
            course("miner_wifi_signal_dbm"),
            looks.DBM,
            width=8,
            linked=True,
            steps=looks.SIGNAL,
        ),
        lines(
            "Free memory",
            "Of the controller, the twenty with the least. A steady fall ends in a restart.",
            [(f"bottomk(20, max by (miner, name, ip, region) ({named(memory)}))", "{{name}}, {{region}}")],
            looks.BYTES,
            low=0,
            width=8,
            linked=True,
        ),
        lines(
            "Uptime",
            "The twenty that started last.",
            course("miner_uptime_seconds"),
            looks.DURATION,
            low=0,
            width=8,
            linked=True,
        ),
        rows(
            "Why miners restarted",
            "The reason that the device gives for its last start, and how often it started within a day.",
            paged(f"max by (miner, name, ip, reason) ({named(of('miner_reset_reason_info'), 'name, ip')})"),
            [
                NAME,
                Column("Reason", label="reason"),
                Column(
                    "Restarts in a day",
                    expression=per_miner(f"resets({of('miner_uptime_seconds')}[1d])"),
                    steps=looks.NONE_WANTED_MILD,
                ),
            ],
            sort="Restarts in a day",
            width=12,
            kept_by="miner",
        ),
        rows(
            "Small miners",
            "The chosen miners with WiFi.",
            kept(identity_table("model"), of("miner_wifi_signal_dbm")),
            [
                NAME,
                ADDRESS,
                Column("Model", label="model"),
                Column(
                    "Hash rate",
                    expression=per_miner(of("miner_hashrate_hashes_per_second")),
                    unit=looks.HASHES,
                    width=105,
                ),
                Column("Power", expression=per_miner(of("miner_power_watts")), unit=looks.WATTS, width=80),
                Column(
                    "WiFi",
                    expression=per_miner(of("miner_wifi_signal_dbm")),
                    unit=looks.DBM,
                    steps=looks.SIGNAL,
                    width=80,
                ),
            ],
            sort="Miner",
            descending=False,
            width=12,
            kept_by="miner",
        ),
    ]


def _usb() -> list[Panel]:
    code = "\n  or ".join(
        f'{number} * (miner_usb_state{{job=~"$job", miner=~"$miner", state="{state}"}} == 1)'
        for number, state in enumerate(_USB_STATES)
    )
    texts = {
        str(number): (state, colour)
        for number, (state, colour) in enumerate(zip(_USB_STATES, _USB_COLOURS, strict=True))
    }
    return [
        states(
            "Boot states of boards on USB",
            "From power-on to mining, as the board prints it.",
            f"{_BY_NAME} ({named(code)})",
            "{{name}}",
            mappings=looks.words(texts),
        ),
        rows(
            "Boards on USB",
            "Each board, its status and what is the matter with it.",
            kept(identity_table("model"), of("miner_usb_status")),
            [
                NAME,
                Column("Model", label="model"),
                Column(
                    "Status",
                    label="status",
                    width=90,
                    expression=f"max by (miner, status) ({chosen(of('miner_usb_status'))}) > 0",
                ),
                Column(
                    "In this state for",
                    expression=f"time() - {per_miner(of('miner_usb_state_since_timestamp_seconds'))}",
                    unit=looks.DURATION,
                    width=120,
                ),
                Column("Starts seen", expression=per_miner(of("miner_usb_boots_total")), width=95),
                Column("Block templates", expression=per_miner(of("miner_block_templates_total")), width=120),
            ],
            sort="Miner",
            descending=False,
            width=12,
            height=7,
            kept_by="miner",
        ),
        rows(
            "What is the matter",
            "Conditions that hold: set-up portal, no DNS, no pool, refused, boot loop, crash and so on.",
            paged(f"max by (miner, name, ip, condition) ({named(of('miner_usb_condition') + ' == 1', 'name, ip')})"),
            [NAME, Column("Condition", label="condition")],
            width=12,
            height=7,
        ),
    ]


def build() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        "flockwatch-home",
        "Flockwatch / Home and solo",
        "For miners at home: records and the chance of a block, WiFi, memory, restarts, boards on USB.",
        [Row("Luck", _luck()), Row("Health of small miners", _health()), Row("USB", _usb())],
        variables.of_miners(),
        alarm_matchers='job=~"$job", site=~"$site", miner=~"$miner"',
        span="24h",
    )
