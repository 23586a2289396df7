"""The stratum worker of a NerdMiner and the pool that it talks to, as both appear on the console."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from simulator.chance import HASHES_PER_DIFFICULTY, best_of, between, mix, poisson, uniform
from simulator.devices.nerdminer_state import BoardState, Steps, crlf, lf

#: A part of the exchange; it returns whether the session goes on.
Part = Generator[tuple[float, bytes], None, bool]

_KEEPALIVE = 30.0
#: Seconds without hashing after which the worker reconnects (the line speaks of two minutes).
_IDLE = 60.0
_SUGGESTED = 0.00015
_BLOCK = 1.3e14
#: What the firmware shows for a name that did not resolve.
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - text of the console


def worker(board: BoardState) -> Steps:
    """The stratum task: connect, subscribe, authorize, work; again after every failure."""
    yield 0.05, crlf("") + lf("") + lf("[WORKER] Started. Running (Stratum) on core 1")
    board.reach("WORKER Started")
    while True:
        if not board.wifi:
            yield 1.0, b""
            continue
        yield 0.02, crlf("Client not connected, trying to connect...")
        if (yield from _connect(board)) and (yield from _subscribe(board)):
            yield from _authorize(board)
            yield from _work(board)
        board.tcp = board.subscribed = False
        board.stop_hashing()
        yield 5.0, b""


# Connecting ---------------------------------------------------------------------------------------------------


def _refuses(board: BoardState) -> bool:
    return board.scenario.pool == "refused" or board.due(board.scenario.pool_lost_after)


def _connect(board: BoardState) -> Part:
    scenario, pool = board.scenario, board.config.pool
    first = "Resolved DNS and save ip (first time) got: "
    failed = f"hostByName(): DNS Failed for {pool}"
    # With pool_api the line lands between two prints of the monitor.
    pause = 0.2 if board.firmware.pool_api else between(0.2, 0.8, board.seed, board.boots, 131)
    if not board.resolved:
        if scenario.dns:
            yield pause, first.encode() + _address(board) + b"\n"
            board.reach("DNS Resolved")
        else:
            yield (
                pause,
                crlf(f"[{_milliseconds(board):6d}][E][WiFiGeneric.cpp:1583] {failed}") + lf(first + _NO_ADDRESS),
            )
            board.flag("dns_failure")
        board.resolved = True
    if scenario.dns and not _refuses(board):
        yield 0.05, b""
        board.tcp = True
        board.flags.discard("pool_unreachable")
        return True
    reset = 'connect(): socket error on fd 48, errno: 104, "Connection reset by peer"'
    yield 0.05, crlf(f"[{_milliseconds(board):6d}][E][WiFiClient.cpp:275] {reset}")
    yield 0.01, crlf(f"Imposible to connect to : {pool}")
    board.flag("pool_unreachable")
    if scenario.dns:
        yield 0.05, b"Resolved DNS got: " + _address(board) + b"\n"
    else:
        yield 0.05, crlf(f"[{_milliseconds(board):6d}][E][WiFiGeneric.cpp:1583] {failed}")
        yield 0.01, lf(f"Resolved DNS got: {_NO_ADDRESS}")
    return False


def _address(board: BoardState) -> bytes:
    """The pool's address; 15 characters and more come out as the bytes of a pointer."""
    if board.scenario.noise:
        return (0x3FFB0000 + mix(board.seed, 132) % 0x8000).to_bytes(4, "little") + b"\x0f"
    return board.pool_ip.encode()


def _milliseconds(board: BoardState) -> int:
    return int((board.now - board.booted) * 1000)


# Messages -----------------------------------------------------------------------------------------------------


def _next_id(board: BoardState) -> int:
    board.message_id += 1
    return board.message_id


def _request(board: BoardState, method: str, params: list[Any]) -> str:
    """Requests of 1.8.0 and later are compact; older ones have blanks after colons."""
    separators = (",", ":") if board.firmware.workers else (", ", ": ")
    board.last_sent = board.now
    return json.dumps({"id": _next_id(board), "method": method, "params": params}, separators=separators)


def _answer(board: BoardState, document: dict[str, Any]) -> bytes:
    """A message of the pool, with what older releases say around it."""
    text = json.dumps(document, separators=(",", ":"))
    result = b"" if board.firmware.workers else crlf("  Received message from pool")
    result += crlf(f"  Receiving: {text}")
    error = document.get("error")
    if error:
        board.seen.add("pool_error")
        result += lf(f"ERROR: {error[0]} | reason: {error[1]} ")
    if not board.firmware.workers and "method" not in document:
        result += crlf("  Parsed JSON: error on JSON" if error else "  Parsed JSON: Success")
    return result


def _suggest(board: BoardState) -> bytes:
    return lf(f"  Sending  : {_request(board, 'mining.suggest_difficulty', [_SUGGESTED])}")


def _hex(length: int, *keys: int) -> str:
    words = (f"{mix(*keys, place):016x}" for place in range((length + 15) // 16))
    return "".join(words)[:length]


def _subscribe(board: BoardState) -> Part:
    board.message_id = 1
    board.last_sent = board.now
    request = f'{{"id": 1, "method": "mining.subscribe", "params": ["{board.firmware.agent}"]}}'
    yield 0.1, lf("[WORKER] ==> Mining subscribe") + lf(f"  Sending  : {request}") + crlf("")
    board.reach("Mining Subscribe")
    details = _hex(8, board.seed, board.boots, 141)
    aborts = board.scenario.pool == "aborts"
    extranonce = "" if aborts else _hex(8, board.seed, board.boots, 142)
    result = [[["mining.notify", details]], extranonce, 4 if aborts else 8]
    answer = json.dumps({"id": 1, "error": None, "result": result}, separators=(",", ":"))
    yield 0.3, crlf(f"  Receiving: {answer}")
    yield (
        0.01,
        (
            crlf(f"    sub_details: {details}")
            + crlf(f"    extranonce1: {extranonce}")
            + crlf(f"    extranonce2_size: {result[2]}")
        ),
    )
    if aborts:
        yield 0.01, lf("[WORKER] >>>>>>>>> Work aborted") + lf("extranonce1 length: 0 ")
        board.seen.add("subscribe_aborted")
    return not aborts


def _authorize(board: BoardState) -> Steps:
    config = board.config
    password = config.password if board.firmware.password else "x"
    number = _next_id(board)
    request = f'{{"params": ["{config.wallet}", "{password}"], "id": {number}, "method": "mining.authorize"}}'
    yield 0.05, lf("[WORKER] ==> Autorize work") + lf(f"  Sending  : {request}") + crlf("")
    board.subscribed = True
    board.reach("Mining Authorize")
    yield 0.2, _suggest(board)
    if board.scenario.pool == "unauthorized":
        refusal = {"id": number, "result": None, "error": [24, "Unauthorized worker", None]}
        yield 0.1, _answer(board, refusal)
        board.flag("authorize_refused")
        return
    yield 0.1, _answer(board, {"id": number, "error": None, "result": True})
    board.reach("Mining")
    board.flags.discard("authorize_refused")
    change = {"id": None, "method": "mining.set_difficulty", "params": [board.difficulty]}
    yield 0.02, _answer(board, change) + crlf("    Parsing Method [SET DIFFICULTY]")
    yield 0.01, crlf(f"    difficulty: {board.difficulty:.12f}")
    yield from _notify(board)


def _notify(board: BoardState) -> Steps:
    count = board.count
    keys = (board.seed, board.boots, count.templates)
    job = _hex(8, *keys, 151)
    merkle = [_hex(64, *keys, 152), _hex(64, *keys, 153)]
    parts = [job, _hex(64, *keys, 154), _hex(112, *keys, 155), _hex(120, *keys, 156), merkle]
    document = {
        "id": None,
        "method": "mining.notify",
        "params": [*parts, "20000000", "17034219", f"{int(board.now):08x}", True],
    }
    yield 0.05, _answer(board, document)
    yield 0.01, crlf("    Parsing Method [MINING NOTIFY]")
    board.job = job
    count.templates += 1
    board.mega_hashes = int(count.hashes // 1_000_000)
    board.start_hashing()


# Work ---------------------------------------------------------------------------------------------------------


def _work(board: BoardState) -> Steps:
    """Shares, new jobs and keep-alives until the connection is gone."""
    next_job = board.now + between(25.0, 40.0, board.seed, board.count.templates, 161)
    idle_from = board.now
    while True:
        began = board.now
        if board.hashing_from is not None:
            idle_from = board.now
            if board.now >= next_job:
                yield from _notify(board)
                next_job = board.now + between(25.0, 40.0, board.seed, board.count.templates, 161)
            yield from _shares(board)
        elif board.now - idle_from >= _IDLE:
            complaint = "Detected more than 2 min without data form stratum server. Closing socket and reopening..."
            yield 0.0, crlf(f"  {complaint}")
            return
        if board.now - board.last_sent >= _KEEPALIVE:
            yield 0.02, crlf("  Sending  : KeepAlive suggest_difficulty") + _suggest(board)
        yield max(0.0, began + 1.0 - board.now), b""
        if not board.wifi or _refuses(board):
            return


def _shares(board: BoardState) -> Steps:
    """The shares of one second; more than three are too much for a board."""
    scenario = board.scenario
    if board.due(scenario.block_after):
        board.hazards_over = True
        yield from _submit(board, _BLOCK * between(1.0, 2.0, board.seed, 171), found=True)
        return
    mean = board.rate(board.now) / (board.difficulty * HASHES_PER_DIFFICULTY)
    moment = int(board.now * 1000)
    for number in range(min(3, poisson(mean, board.seed, moment, 172))):
        yield from _submit(board, best_of(1, board.difficulty, board.seed, moment, number, 173))


def _submit(board: BoardState, difficulty: float, *, found: bool = False) -> Steps:
    count = board.count
    moment = int(board.now * 1000)
    nonce = mix(board.seed, moment, 181) % 2**32
    params = [board.config.wallet, board.job, f"{count.accepted + 1:016x}", f"{int(board.now):08x}", f"{nonce:08x}"]
    yield 0.05, lf(f"  Sending  : {_request(board, 'mining.submit', params)}")
    number = board.message_id
    share = _hex(58, board.seed, moment, 182) + "000000"
    yield (
        0.01,
        (
            crlf(f"   - Current diff share: {difficulty:.12f}")
            + crlf(f"   - Current pool diff : {board.difficulty:.12f}")
            + crlf(f"   - TX SHARE: {share}")
        ),
    )
    count.best = max(count.best, difficulty)
    count.shares32 += difficulty >= 1.0
    if found:
        yield 0.01, _congratulations(board, nonce)
        count.blocks += 1
        board.seen.add("block_found")
    rejected = not found and uniform(board.seed, moment, 183) < board.model.profile.reject_ratio
    if rejected:
        yield 0.12, _answer(board, {"id": number, "result": None, "error": [23, "Difficulty too low", None]})
        if board.firmware.workers:
            yield 0.01, lf(f"Refuse submition {number}")
        count.rejected += 1
        board.rejected_ever += 1
    else:
        yield 0.12, _answer(board, {"id": number, "error": None, "result": True})
        count.accepted += 1
        board.accepted_ever += 1


def _congratulations(board: BoardState, nonce: int) -> bytes:
    if board.firmware.workers:
        return crlf("CONGRATULATIONS! Valid block found")
    found = f"[WORKER] 0 CONGRATULATIONS! Valid block found with nonce: {nonce} | {nonce:#x}"
    return lf(found) + lf("[WORKER]  0  Submitted work valid!")
