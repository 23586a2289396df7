"""The firmware's tasks beside the stratum worker: miners, the monitor with its telemetry, and the main loop."""

from __future__ import annotations

from simulator.chance import between, mix
from simulator.devices.nerdminer_state import BoardState, Steps, crlf, lf


def suffixed(value: float) -> str:
    """A difficulty as the firmware shows it: "0.0015", "1.234K"."""
    for limit, suffix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:.3f}{suffix}"
    return f"{value:.4f}"


def miners(board: BoardState) -> Steps:
    """The miner tasks say that they run."""
    if board.firmware.workers:
        hardware = "HwEsp32D" if board.model.chip == "esp32" else "Hw"
        yield 0.1, lf(f"[MINER] 0 Started minerWorker{hardware} Task!")
        board.reach("MINER HW Task Started")
        yield 0.02, lf("[MINER] 1 Started minerWorkerSw Task!")
        return
    yield 0.1, lf("[MINER]  0  Started runMiner Task!")
    board.reach("MINER HW Task Started")
    if board.firmware.spifs:
        yield 0.02, lf("[MINER]  1  Started runMiner Task!")


# The monitor --------------------------------------------------------------------------------------------------


def monitor(board: BoardState) -> Steps:
    """Telemetry once a second."""
    yield 0.15, crlf("TimeClient setup done")
    if board.firmware.pool_api:
        # Two prints, and another task's line in between.
        yield 0.01, b"poolAPIUrl: https://pool.example.com/api/client/"
        yield 0.25, b"\r\n"
    while True:
        # The task sleeps a second, and then some milliseconds pass until it runs.
        seconds = 1.0 + mix(board.seed, board.boots, board.count.uptime, 122) % 6 / 1e3
        yield seconds, b""
        before = board.khashes
        _count(board, seconds)
        elapsed = (board.khashes - before) % 2**32
        yield 0.0, _telemetry(board, elapsed / seconds)
        if elapsed:
            board.reach("Mining")


def _count(board: BoardState, seconds: float) -> None:
    """What these seconds of hashing add to the counters."""
    board.count.hashes += board.rate(board.now) * seconds
    board.count.uptime += 1


def _rate_text(board: BoardState, elapsed: float) -> str:
    """KH/s: 1.8.0 and later show a mean of ten with fewer digits the larger it ever was; others the last second."""
    if not board.firmware.workers:
        return f"{elapsed:.2f}"
    board.rates.append(elapsed)
    mean = sum(board.rates) / len(board.rates)
    if len(board.rates) > 3:
        board.top_rate = max(board.top_rate, mean)
    digits = 2 if board.top_rate <= 99.9 else 1 if board.top_rate <= 999.9 else 0
    return f"{mean:.{digits}f}"


def _telemetry(board: BoardState, elapsed: float) -> bytes:
    count = board.count
    rate = _rate_text(board, elapsed)
    board.printed_rate = float(rate) * 1e3
    result = b""
    if board.wifi and not board.ntp_told:
        board.ntp_told = True
        # Printed without an end of line.
        result += b"TimeClient NTPupdateTime "
    if board.model.display == "ssd1306":
        best = suffixed(count.best)
        result += lf(f">>> Hashrate: {rate} KH/s | Shares: {count.shares32} | Best diff: {best}")
    else:
        result += lf(f">>> Completed {count.shares32} share(s), {board.khashes} Khashes, avg. hashrate {rate} KH/s")
    if board.model.display == "none":
        result += _statistics(board)
    if not elapsed:
        words = [board.firmware.workers or bool(board.job), board.subscribed, board.tcp, board.subscribed, board.wifi]
        job, run, connected, subscribed, wifi = (str(word).lower() for word in words)
        result += lf(
            f">>> [i] Miner: newJob>{job} / inRun>{run}) - "
            f"Client: connected>{connected} / subscribed>{subscribed} / wificonnected>{wifi}"
        )
    return result


def _statistics(board: BoardState) -> bytes:
    """What boards without a display add."""
    count = board.count
    minutes, seconds = divmod(count.uptime, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return b"".join(
        lf(f">>> {text}")
        for text in (
            f"Valid blocks: {count.blocks}",
            f"Block templates: {count.templates}",
            f"Best difficulty: {suffixed(count.best)}",
            f"32Bit shares: {count.shares32}",
            f"Temperature: {board.temperature:.0f}",
            f"Total MHashes: {board.mega_hashes}",
            f"Time mining: {days}  {hours:02d}:{minutes:02d}:{seconds:02d}",
        )
    )


# The main loop ------------------------------------------------------------------------------------------------


def loop(board: BoardState) -> Steps:
    """Wi-Fi changes, the button, and what the scenario does to the board."""
    if board.wifi:
        # With pool_api this comes after the pool's address, in two tasks' single line.
        pause = 0.5 if board.firmware.pool_api else between(0.2, 0.7, board.seed, board.boots, 121)
        yield pause, crlf(f"CONNECTED - Current ip: {board.ip}")
        board.reach("CONNECTED IP")
    else:
        yield 0.2, crlf("[Error] - current status: 6")
    scenario = board.scenario
    while board.restart is None:
        yield 0.5, b""
        if scenario.crash == "brownout" and board.due(scenario.crash_after):
            yield 0.0, crlf("") + crlf("Brownout detector was triggered") + crlf("")
            board.seen.add("brownout")
            board.flag("crashed")
            board.restart = "brownout"
        elif board.due(scenario.wiped_after):
            board.hazards_over = True
            yield from wipe(board)
        elif board.due(scenario.wifi_lost_after):
            board.hazards_over = True
            yield from _lose_wifi(board)


def wipe(board: BoardState) -> Steps:
    """The button was held for five seconds: configuration and Wi-Fi are erased, and the board restarts."""
    yield 0.1, crlf("Erasing Config, restarting")
    board.printed_config = None
    if board.firmware.spifs:
        yield 0.05, crlf("SPIFS: Erasing config file..") + lf("[MONITOR] Resetting NVS stats")
    board.stored = None
    board.has_wifi = False
    board.seen.add("config_wiped")
    yield 0.1, crlf("*wm:resetSettings ") + crlf("*wm:SETTINGS ERASED ")
    board.restart = "software"


def _lose_wifi(board: BoardState) -> Steps:
    board.wifi = board.tcp = board.subscribed = False
    board.stop_hashing()
    yield 0.0, crlf("[Error] - current status: 5")
    board.flag("wifi_lost")
    yield 1.0, crlf("[Error] - current status: 6")
    yield 15.0, crlf(f"CONNECTED - Current ip: {board.ip}")
    board.wifi = True
    board.flags.discard("wifi_lost")
