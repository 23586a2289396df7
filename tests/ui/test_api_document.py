"""The API against its own document: every operation is reached, and every answer is as described."""

import html
import re

import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate

from onboarding_ui.api.document import METHODS
from tests.ui.api_tools import application, examples
from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_records import HOSTILE

APP, ENGINE = application()
DOCUMENT = APP.test_client().get("/api/openapi.json").json
CONFIG = schemathesis.config.SchemathesisConfig.from_dict(
    {
        "checks": {
            # A miner that does not answer now is a documented 503.
            "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
            # More is checked than a schema can say: checksums, names that are taken, networks that may be searched.
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "400", "403", "404", "409", "422", "503"],
            },
        }
    }
)
SCHEMA = schemathesis.openapi.from_wsgi("/api/openapi.json", APP, config=CONFIG)
#: Operations that need a miner which answers now.
MAY_NOT_ANSWER = re.compile(
    r"/api/miners/\{miner_id\}/(?:info|restart|pause|resume|identify|mode|preset|tuning|pool|fan)"
)


def operations():
    return [result.ok() for result in SCHEMA.get_all_operations()]


def test_the_document_is_valid_openapi():
    validate(DOCUMENT)


def test_the_document_has_every_route_and_no_other():
    routes = {
        (re.sub(r"<(?:int:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in APP.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule != "/api/openapi.json"
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item}
    assert described == routes


def test_operations_are_called_uniquely_and_say_what_they_do():
    listed = [item[method] for item in DOCUMENT["paths"].values() for method in METHODS if method in item]
    names = [operation["operationId"] for operation in listed]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["description"] for operation in listed)


def test_every_operation_is_reached_with_a_good_answer():
    missed = []
    for operation in operations():
        ENGINE.renew()
        case = operation.Case(method=operation.method.upper(), **examples(operation.definition.raw))
        answer = case.call_and_validate()
        if not 200 <= answer.status_code < 300:
            missed.append(f"{case.method} {operation.path}: {answer.status_code} {answer.text}")
    assert missed == []


@SCHEMA.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[*HealthCheck],
    print_blob=True,
)
def test_no_request_breaks_an_operation(case):
    ENGINE.renew()
    answer = case.call_and_validate()
    assert answer.status_code != 503 or MAY_NOT_ANSWER.fullmatch(case.operation.path)


def test_answers_about_every_kind_of_miner_are_as_described():
    by_id = {operation.definition.raw["operationId"]: operation for operation in operations()}
    ENGINE.renew()
    for miner_id in FakeEngine().records:
        for name in ("get_miner", "miner_details", "miner_info", "miner_configs", "miner_history", "list_statuses"):
            by_id[name].Case(method="GET", path_parameters={"miner_id": miner_id}).call_and_validate(
                excluded_checks=[schemathesis.checks.not_a_server_error]
            )
    listed = by_id["list_miners"].Case(method="GET", query={"include_disabled": "true"}).call_and_validate()
    assert len(listed.json()) == len(FakeEngine().records)


def test_the_page_sets_out_every_operation():
    answer = APP.test_client().get("/settings/api")
    assert answer.status_code == 200
    for path, item in DOCUMENT["paths"].items():
        assert path in answer.text
        for method in METHODS:
            if method in item:
                assert item[method]["summary"] in html.unescape(answer.text)
    assert "curl -X POST" in answer.text
    assert HOSTILE not in answer.text
