"""VNish (AnthillOS) 1.2.0 betas to 1.3 on Antminers: the HTTP API /api/v1.

VNish 3.x (S9) has no such API. It answers the CGMiner API in the manner of the stock firmware, so it is polled by the
driver `antminer` under its own firmware name.
"""

from __future__ import annotations

from typing import Any, ClassVar

from exporter.drivers import fields
from exporter.drivers.api import (
    Answer,
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
from exporter.drivers.families import vnish_login as login
from exporter.drivers.families import vnish_telemetry as telemetry
from exporter.drivers.families.cgminer_records import find_records, told
from exporter.drivers.families.vnish_commands import VnishCommands
from exporter.drivers.families.vnish_summary import decode_summary
from exporter.drivers.families.vnish_units import rate_unit
from exporter.errors import DecodeError
from exporter.model import Board, Identity, ModelInfo, Reading, replace

_INFO = "GET /api/v1/info"
_SUMMARY = HttpRequest("/api/v1/summary", auth=Auth.API_KEY)
#: The other pages are open to all; this one tells that our key was removed from the device.
_KEY_CHECK = HttpRequest("/api/v1/auth-check", auth=Auth.API_KEY, optional=True)
_INFO_REQUEST = HttpRequest("/api/v1/info", optional=True)
_CHIPS = HttpRequest(  # 1.2 has /chains, 1.3 /boards, the betas /chips
    "/api/v1/chains",
    optional=True,
    otherwise=HttpRequest("/api/v1/boards", optional=True, otherwise=HttpRequest("/api/v1/chips", optional=True)),
)
_STATUS = HttpRequest("/api/v1/status", optional=True)
_PERFORMANCE = HttpRequest("/api/v1/perf-summary", optional=True)
_FACTORY = HttpRequest("/api/v1/chains/factory-info", optional=True)
_MODEL = HttpRequest("/api/v1/model", optional=True)
_PRESETS = HttpRequest("/api/v1/autotune/presets", auth=Auth.API_KEY, optional=True)


class VnishDriver(VnishCommands, Driver):
    """VNish on Bitmain control boards."""

    driver_type = "vnish"
    driver_version = "1.1.0"
    display_name = "VNish"
    manufacturer = "Anthill Farm"
    supported_models = ("Antminer S19, S21, T19, T21 and L7, L9 families with VNish 1.2 or 1.3",)
    connection_type = "http"
    default_port = 80
    interface_version = 1

    probes: ClassVar[tuple[Request, ...]] = (
        HttpRequest("/api/v1/info"),
        HttpRequest("/"),
        CgminerRequest("stats"),
        CgminerRequest("version"),
    )
    default_passwords: ClassVar[tuple[str, ...]] = ("admin",)
    ignored_keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("rpc *", "read to identify only; /api/v1 tells the same and more"),
        (f"{_INFO} build_*", "which build of the same version"),
        (f"{_INFO} install_type", "where the firmware is installed"),
        (f"{_INFO} platform", "which control board"),
        ("* system.os", "always the same"),
        ("* system.miner_name", "the model key or the host name again"),
        ("* system.file_system_version", "empty"),
        ("* system.mem_total", "free memory is told"),
        ("* system.mem_*percent", "free memory is told in bytes"),
        ("* system.mem_buf", "free memory is told"),
        ("* system.network_status.*", "settings of the network; the address is known"),
        ("GET /api/v1/summary miner.hardware_version", "which control board"),
        ("GET /api/v1/summary miner.cgminer_version", "always the same"),
        ("GET /api/v1/summary miner.compile_time", "which build of the same version"),
        ("GET /api/v1/summary miner.pcb_temp.*", "extremes of what the boards tell"),
        ("GET /api/v1/summary miner.chip_temp.*", "extremes of what the boards tell"),
        ("GET /api/v1/summary miner*.power_usage", "deprecated, see power_consumption"),
        ("GET /api/v1/summary miner.power_efficiency", "ratio of two series; its unit changed between versions"),
        ("GET /api/v1/summary miner.hw_errors_percent", "ratio of two series"),
        ("GET /api/v1/summary miner*.hr_error", "ratio of two series"),
        ("GET /api/v1/summary miner.devfee*", "what the firmware's developer takes, told per pool"),
        ("GET /api/v1/summary miner.psu.psu_power_metering", "a property of the model"),
        ("GET /api/v1/summary miner.restart_count", "not in the catalogue"),
        ("GET /api/v1/summary miner.miner_status.throttled", "a setting of 1.3 in percent, not in the catalogue"),
        ("GET /api/v1/summary miner.cooling.fans[].max_rpm", "a property of the model"),
        ("GET /api/v1/summary miner.pools[].asic_boost", "deprecated"),
        ("GET /api/v1/summary miner.pools[].ls_diff", "difficulty of one share"),
        ("GET /api/v1/summary miner.chains[].hashrate_percentage", "ratio of two series"),
        ("GET /api/v1/summary miner.chains[].chip_temp_sens[].*", "chip_temp tells the extremes"),
        ("GET /api/v1/summary miner.chains[].status.description", "free text"),
        ("GET /api/v1/chains [].status.*", "in /summary, every 15 s"),
        ("GET /api/v1/chains [].sensors*", "in /summary as extremes"),
        ("GET /api/v1/chains [].hr_*", "in /summary, every 15 s"),
        ("GET /api/v1/chains [].freq", "in /summary, every 15 s"),
        ("GET /api/v1/boards [].status.*", "in /summary, every 15 s"),
        ("GET /api/v1/boards [].sensors*", "in /summary as extremes"),
        ("GET /api/v1/boards [].hr_*", "in /summary, every 15 s"),
        ("GET /api/v1/boards [].freq", "in /summary, every 15 s"),
        ("GET /api/v1/chips chips_per_chain", "in /model"),
        ("GET /api/v1/chips *.sensor*", "in /summary as extremes"),
        ("GET /api/v1/status miner_*", "in /summary, every 15 s"),
        ("GET /api/v1/status description", "in /summary, every 15 s"),
        ("GET /api/v1/status failure_code", "in /summary, every 15 s"),
        ("GET /api/v1/status *", "state of the web page's sign-in, its settings and its warranty"),
        ("GET /api/v1/perf-summary preset_switcher.*", "settings"),
        ("GET /api/v1/perf-summary current_preset.*", "how the preset is made; its name and watts are read"),
        ("GET /api/v1/chains/factory-info hr_stock", "in /summary"),
        ("GET /api/v1/chains/factory-info *", "properties of the parts when they were made"),
        ("GET /api/v1/model serial", "in /info"),
        ("GET /api/v1/model series", "in the model key"),
        ("GET /api/v1/model platform", "which control board"),
        ("GET /api/v1/model install_type", "where the firmware is installed"),
        ("GET /api/v1/model hr_measure", "in /info"),
        ("GET /api/v1/model chain.*", "layout of the board"),
        ("GET /api/v1/model cooling.*", "limits of settings"),
        ("GET /api/v1/model overclock.*", "limits of settings"),
        ("GET /api/v1/autotune/presets [].tune_settings.*", "results of a tuning run"),
        ("GET /api/v1/auth-check *", "the status tells whether our key is known"),
    )

    # --- identification ---

    def identify(self, answers: Answers) -> Identification | None:
        info = _table(answers, _INFO)
        if info is not None and told(info, "fw_name", _INFO) and "fw_version" in info and "system" in info:
            details = {"api": "http"}
            for key in ("hr_measure", "model", "algorithm"):
                value = told(info, key, _INFO)
                if value is not None:
                    details[key] = value
            return Identification("vnish", Specificity.CERTAIN, telemetry.decode_info(info), details)
        return _by_stats(answers) or _by_page(answers)

    def identity_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return (HttpRequest("/api/v1/info"),)

    def decode_identity(self, answers: Answers, context: DecodeContext) -> Identity:
        return telemetry.decode_info(answers.document(_INFO))

    # --- loops ---

    def status_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        # The unit of the hash rates stands in /info. It is asked for along where identification did not see it.
        return (_SUMMARY,) if "hr_measure" in context.details else (_SUMMARY, _INFO_REQUEST)

    def decode_status(self, answers: Answers, context: DecodeContext) -> Reading:
        document = answers.document(_SUMMARY.key)
        info = answers.optional_document(_INFO)
        measure = context.details.get("hr_measure")
        if info is not None:
            measure = told(fields.as_table(info, _INFO), "hr_measure", _INFO) or measure
        reading = decode_summary(document, context, measure)
        system = fields.table(fields.as_table(document), "system", _SUMMARY.key)  # the 1.2.0 betas only
        return reading if system is None else _with_system(reading, system, document)

    def telemetry_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return (_KEY_CHECK, _INFO_REQUEST, _CHIPS, _STATUS, _PERFORMANCE, _FACTORY, _MODEL)

    def decode_telemetry(self, answers: Answers, context: DecodeContext) -> Reading:
        reading = Reading()
        measure = context.details.get("hr_measure")
        info = answers.optional_document(_INFO)
        if info is not None:
            info = fields.as_table(info, _INFO)
            measure = told(info, "hr_measure", _INFO) or measure
            system = telemetry.decode_system(fields.table(info, "system", _INFO) or {}, _INFO)
            reading = replace(system, identity=telemetry.decode_info(info))
        model = _model(answers, None)
        boards = _boards(answers, measure, context, model)
        lamp = answers.optional_document(_STATUS.key)
        preset = answers.optional_document(_PERFORMANCE.key)
        chosen = Reading() if preset is None else telemetry.decode_perf_summary(preset)
        return replace(
            reading,
            boards=boards,
            boards_expected=None if model is None or model.boards is None else float(model.boards),
            fault_light=None if lamp is None else telemetry.decode_lamp(lamp).fault_light,
            work_mode=chosen.work_mode,
            power_limit=chosen.power_limit,
        )

    # --- DescribesModel ---

    def model_requests(self, context: DecodeContext) -> tuple[Request, ...]:
        return (_MODEL, _PRESETS)

    def decode_model(self, answers: Answers, context: DecodeContext) -> ModelInfo | None:
        return _model(answers, context.details.get("model"))

    # --- ApiKeyLogin ---

    def unlock_request(self, password: str) -> HttpRequest:
        return login.unlock_request(password)

    def decode_unlock(self, answer: Answer) -> str:
        return login.decode_unlock(answer)

    def list_keys_request(self, token: str) -> HttpRequest:
        return login.list_keys_request(token)

    def find_key(self, answer: Answer, description: str) -> str | None:
        return login.find_key(answer, description)

    def create_key_request(self, token: str, key: str, description: str) -> HttpRequest:
        return login.create_key_request(token, key, description)

    def delete_key_request(self, token: str, key: str) -> HttpRequest:
        return login.delete_key_request(token, key)

    def key_headers(self, key: str) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", key),)


# --- helpers ------------------------------------------------------------------------------------------------------


def _table(answers: Answers, key: str) -> dict[str, Any] | None:
    """A probe answer as an object; None where it is missing, no success or of another device."""
    answer = answers.get(key)
    if answer is None or answer.status != 200:
        return None
    try:
        document = answers.document(key)
    except DecodeError:
        return None
    return document if isinstance(document, dict) else None


def _by_stats(answers: Answers) -> Identification | None:
    """The type in `stats`, or (3.x) in `version`: "Antminer S19 (Vnish 1.2.6)", "Antminer S9 (vnish 3.8.6)"."""
    for key, name in (("rpc stats", "STATS"), ("rpc version", "VERSION")):
        document = _table(answers, key)
        if document is None or name not in document:
            continue
        records = find_records(document, name, key)
        model, version = telemetry.split_type(told(records[0], "Type", key) if records else None)
        if version is None:
            continue
        identity = Identity(make=telemetry.maker_of(model), model=model, firmware="VNish", firmware_version=version)
        old = version.startswith(("2.", "3."))
        details = {"api": "rpc" if old else "http"}
        return Identification("antminer" if old else "vnish", Specificity.SPECIFIC, identity, details)
    return None


def _by_page(answers: Answers) -> Identification | None:
    page = answers.get("GET /")
    if page is None or page.status != 200 or b"anthillos" not in page.body.lower():
        return None
    return Identification("vnish", Specificity.SPECIFIC, Identity(firmware="VNish"), {"api": "http"})


def _with_system(reading: Reading, system: dict[str, Any], document: Any) -> Reading:
    part = telemetry.decode_system(system, _SUMMARY.key)
    miner = fields.table(document, "miner", _SUMMARY.key) or {}
    model, version = telemetry.split_type(told(miner, "miner_type", _SUMMARY.key))
    identity = replace(
        part.identity,
        make=telemetry.maker_of(model),
        model=model,
        firmware="VNish",
        firmware_version=version,
    )
    return replace(reading, identity=identity, uptime=part.uptime, memory_free=part.memory_free)


def _model(answers: Answers, alias: str | None) -> ModelInfo | None:
    presets = answers.optional_document(_PRESETS.key)
    listed = None if presets is None else telemetry.decode_presets(presets)
    return telemetry.decode_model(answers.optional_document(_MODEL.key), listed, alias)


def _boards(
    answers: Answers, measure: str | None, context: DecodeContext, model: ModelInfo | None
) -> tuple[Board, ...]:
    """Chips, serial numbers and the number of chips there should be, joined by the number of the board."""
    boards: dict[str, Board] = {}
    for request in ("GET /api/v1/chains", "GET /api/v1/boards", "GET /api/v1/chips"):
        document = answers.optional_document(request)
        if document is not None:
            found = telemetry.decode_chips(document, rate_unit(measure, context.identity.model), request)
            boards.update({board.board: board for board in found})
    factory = answers.optional_document(_FACTORY.key)
    for part in () if factory is None else telemetry.decode_factory(factory):
        boards[part.board] = replace(boards.get(part.board, part), serial=part.serial)
    expected = None if model is None or model.chips_per_board is None else float(model.chips_per_board)
    return tuple(replace(board, chips_expected=expected) for board in boards.values())
