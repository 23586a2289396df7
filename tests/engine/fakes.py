"""A wire that answers from a table, and a driver to go with it."""

import json
from collections import Counter

import httpx

from exporter.drivers.api import Answer, Auth, CgminerRequest, ConnectionRules, Driver, HttpRequest
from exporter.drivers.fields import as_table, count, text
from exporter.engine.exchange import Endpoint
from exporter.errors import AuthError, Unreachable
from exporter.model import Identity, Reading
from exporter.text import normal_mac
from exporter.units import hashes_per_second

HERE = Endpoint("192.0.2.7", 80, 4028)


class FakeWire:
    """`pages` maps a request key to an answer, a list of answers, or an error; `commands` likewise by command."""

    def __init__(self, pages=None, commands=None):
        self.pages = pages or {}
        self.commands = commands or {}
        self.asked = []
        self.headers = []
        self.closed = Counter()

    async def http(self, endpoint, request, headers, timeout, keep_alive):
        self.asked.append(request.key)
        self.headers.append(headers)
        return self._next(self.pages, request.key)

    async def http_signed(self, endpoint, request, auth, timeout, keep_alive):
        self.asked.append(f"signed {request.key}")
        answer = self._next(self.pages, request.key)
        wanted = self.pages.get("password")
        if wanted is not None and getattr(auth, "secret", None) != wanted:
            raise AuthError("wrong password")
        return answer

    async def cgminer(self, endpoint, port, payload, timeout):
        command = json.loads(payload)["command"]
        self.asked.append(command)
        return self._next(self.commands, command).body

    async def close_host(self, endpoint):
        self.closed[endpoint.address] += 1

    @staticmethod
    def _next(table, key):
        found = table.get(key, Unreachable(f"nothing at {key}"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        return found


class FakeAuth(httpx.Auth):
    def __init__(self, secret):
        self.secret = secret


def page(document, status=200):
    return Answer(json.dumps(document).encode(), status)


def reply(document):
    return Answer(json.dumps(document).encode())


STATUS = HttpRequest("/status")
SETTINGS = HttpRequest("/settings", auth=Auth.API_KEY)
OLD_SETTINGS = HttpRequest("/old-settings")
WHO = HttpRequest("/who")


class FakeDriver(Driver):
    """One page with a rate; the identity on another."""

    driver_type = "fake"
    driver_version = "1.0.0"
    display_name = "Fake"
    manufacturer = "Nobody"
    supported_models = ("Fake",)
    connection_type = "http"
    default_port = 80
    interface_version = 1
    rules = ConnectionRules(timeout_seconds=1.0)
    probes = (STATUS,)
    default_passwords = ("factory",)

    def identify(self, answers):
        return None

    def identity_requests(self, context):
        return (WHO,)

    def decode_identity(self, answers, context):
        document = as_table(answers.document(WHO.key))
        return Identity(mac=normal_mac(document.get("mac")), serial=text(document, "serial"))

    def status_requests(self, context):
        return (STATUS,)

    def decode_status(self, answers, context):
        document = as_table(answers.document(STATUS.key))
        rate = count(document, "rate")
        return Reading(
            identity=Identity(mac=normal_mac(document.get("mac"))),
            hashrate=None if rate is None else hashes_per_second(rate),
        )


RPC = (CgminerRequest("summary"), CgminerRequest("pools"), CgminerRequest("devs", optional=True))
OK = {"STATUS": [{"STATUS": "S", "Code": 11, "Msg": "Summary"}]}
INVALID = {"STATUS": [{"STATUS": "E", "Code": 14, "Msg": "Invalid command"}]}
DENIED = {"STATUS": [{"STATUS": "E", "Code": 45, "Msg": "Access denied to 'devs' command"}]}
