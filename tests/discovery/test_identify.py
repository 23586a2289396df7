"""Who a host is: probes merged, asked in order, judged by every driver; the most specific answer wins."""

import asyncio
import logging

import pytest

from exporter.discovery.identify import identify_host, merged_probes
from exporter.drivers.api import Answer, CgminerRequest, Driver, HttpRequest, Identification, Specificity
from exporter.errors import ConnectionRefused, DecodeError, RequestTimeoutError, Unsupported
from exporter.model import Identity

INFO, ROOT, OWN = HttpRequest("/info"), HttpRequest("/"), HttpRequest("/own")
VERSION, STATS, POOLS = CgminerRequest("version"), CgminerRequest("stats"), CgminerRequest("pools")


def fake(name, probes, says):
    """A driver that says `says[key]` once the answer to `key` has arrived; the last such key counts."""

    class Fake(Driver):
        driver_type = name

        def __init__(self):
            self.judged = []

        def identify(self, answers):
            self.judged.append(answers.keys())
            said = None
            for key, specificity in says.items():
                if key in answers:
                    said = specificity
            if isinstance(said, Exception):
                raise said
            return None if said is None else Identification(name, said, Identity(model=name))

    Fake.probes = probes
    return Fake()


def identify(drivers, answers, *, http_open=True, api_open=True):
    """The verdict over `answers` (key -> status, error, or nothing: refused) and the keys that were asked."""
    asked = []

    async def ask(probe):
        asked.append(probe.key)
        answer = answers.get(probe.key, ConnectionRefused("nobody there"))
        if isinstance(answer, Exception):
            raise answer
        return Answer(b"{}", answer)

    probes = merged_probes(drivers)
    verdict = asyncio.run(identify_host(tuple(drivers), probes, ask, http_open=http_open, api_open=api_open))
    return verdict, asked


ALL = dict.fromkeys((probe.key for probe in (INFO, ROOT, OWN, VERSION, STATS, POOLS)), 200)


# --- which probes ---


def test_each_probe_is_asked_once_http_first_and_then_by_its_place():
    first = fake("a", (VERSION, STATS, ROOT), {})
    second = fake("b", (INFO, ROOT, VERSION), {})
    assert merged_probes((first, second)) == (INFO, ROOT, VERSION, STATS)


def test_a_probe_takes_the_best_place_any_driver_gives_it():
    assert merged_probes((fake("a", (INFO, ROOT, OWN), {}), fake("b", (OWN,), {}))) == (INFO, OWN, ROOT)


def test_no_driver_no_probes():
    assert merged_probes(()) == ()
    verdict, asked = identify((), ALL)
    assert (verdict.identification, verdict.failed, asked) == (None, False, [])


@pytest.mark.parametrize(
    ("http_open", "api_open", "expected"),
    [(True, False, ["GET /info"]), (False, True, ["rpc version"]), (False, False, [])],
)
def test_probes_go_to_open_ports_only(http_open, api_open, expected):
    drivers = (fake("a", (INFO, VERSION), {}),)
    _, asked = identify(drivers, ALL, http_open=http_open, api_open=api_open)
    assert asked == expected


# --- who wins ---


@pytest.mark.parametrize("order", [("generic", "specific"), ("specific", "generic")])
def test_the_most_specific_wins_whoever_speaks_first(order):
    drivers = {
        "generic": fake("generic", (VERSION, POOLS), {"rpc version": Specificity.GENERIC}),
        "specific": fake("specific", (VERSION, STATS), {"rpc stats": Specificity.SPECIFIC}),
    }
    verdict, _ = identify([drivers[name] for name in order], ALL)
    assert verdict.identification.driver_type == "specific"
    assert set(verdict.answers.keys()) >= {"rpc version", "rpc stats"}


def test_of_two_equally_specific_the_first_to_speak_stands():
    early = fake("early", (INFO, POOLS), {"GET /info": Specificity.GENERIC})
    late = fake("late", (ROOT,), {"GET /": Specificity.GENERIC})
    assert identify((early, late), ALL)[0].identification.driver_type == "early"


def test_a_driver_may_take_back_what_it_said():
    class Wrong(Driver):
        driver_type = "wrong"
        probes = (ROOT, VERSION)

        def identify(self, answers):
            return None if "rpc version" in answers else Identification("wrong", Specificity.STOCK, Identity())

    right = fake("right", (VERSION,), {"rpc version": Specificity.GENERIC})
    assert identify((Wrong(), right), ALL)[0].identification.driver_type == "right"
    assert identify((Wrong(),), ALL)[0].identification is None


def test_more_answers_complete_what_the_same_driver_said():
    class Learning(Driver):
        driver_type = "learning"
        probes = (VERSION, STATS)

        def identify(self, answers):
            return Identification("learning", Specificity.SPECIFIC, Identity(model=str(len(answers.keys()))))

    verdict, _ = identify((Learning(),), ALL)
    assert verdict.identification.identity.model == "2"


def test_a_certain_answer_ends_the_probing():
    certain = fake("certain", (INFO, ROOT), {"GET /info": Specificity.CERTAIN})
    verdict, asked = identify((certain, fake("other", (OWN, VERSION), {})), ALL)
    assert asked == ["GET /info"]
    assert verdict.identification.driver_type == "certain"
    assert not verdict.failed


def test_stock_waits_for_a_more_specific_answer_of_a_driver_without_a_say():
    stock = fake("stock", (ROOT, VERSION), {"GET /": Specificity.STOCK})
    imitator = fake("imitator", (STATS,), {"rpc stats": Specificity.SPECIFIC})
    verdict, asked = identify((stock, imitator), ALL)
    assert asked == ["GET /", "rpc stats"]
    assert verdict.identification.driver_type == "imitator"


def test_stock_waits_for_the_other_probes_of_its_own_driver():
    stock = fake("stock", (VERSION, STATS), {"rpc version": Specificity.STOCK})
    imitator = fake("imitator", (VERSION, STATS), {"rpc stats": Specificity.CERTAIN})
    assert identify((stock, imitator), ALL)[0].identification.driver_type == "imitator"


def test_stock_stands_when_everybody_else_has_been_asked():
    stock = fake("stock", (VERSION, STATS), {"rpc version": Specificity.STOCK})
    generic = fake("generic", (VERSION, STATS, POOLS), {"rpc version": Specificity.GENERIC})
    verdict, asked = identify((stock, generic), ALL)
    assert asked == ["rpc version", "rpc stats"]
    assert verdict.identification.driver_type == "stock"


def test_a_generic_answer_hears_every_probe():
    generic = fake("generic", (VERSION, STATS, POOLS), {"rpc version": Specificity.GENERIC})
    assert identify((generic,), ALL)[1] == ["rpc version", "rpc stats", "rpc pools"]


def test_a_family_without_a_driver_is_asked_on_because_one_may_poll_it_yet():
    class Seen(Driver):
        driver_type = "seen"
        probes = (VERSION, STATS, POOLS)

        def identify(self, answers):
            driver = "seen" if "rpc pools" in answers else None
            return Identification(driver, Specificity.SPECIFIC, Identity())

    verdict, asked = identify((Seen(),), ALL)
    assert asked == ["rpc version", "rpc stats", "rpc pools"]
    assert verdict.identification.driver_type == "seen"


# --- who is asked ---


def test_a_driver_judges_after_its_own_probes_and_sees_all_answers():
    mine = fake("mine", (STATS,), {})
    identify((mine, fake("other", (INFO, VERSION), {})), ALL)
    # Both are second and first in their drivers' lists, so stats comes before version.
    assert mine.judged == [("GET /info", "rpc stats")]


def test_a_missing_page_is_no_answer_to_judge_but_a_refused_one_is():
    mine = fake("mine", (INFO, ROOT), {})
    verdict, asked = identify((mine,), {"GET /info": 404, "GET /": 401})
    assert asked == ["GET /info", "GET /"]
    assert mine.judged == [("GET /info", "GET /")]
    assert verdict.answers.get("GET /info").status == 404


def test_a_driver_without_probes_judges_after_every_answer():
    listener = fake("listener", (), {"GET /": Specificity.CERTAIN})
    verdict, asked = identify((listener, fake("other", (INFO, ROOT, OWN), {})), ALL)
    assert listener.judged == [("GET /info",), ("GET /info", "GET /")]
    assert asked == ["GET /info", "GET /"]
    assert verdict.identification.driver_type == "listener"


# --- failures ---


def test_a_server_that_lets_two_probes_time_out_is_left():
    slow = RequestTimeoutError("slow")
    drivers = (fake("a", (INFO, ROOT, OWN), {}),)
    verdict, asked = identify(drivers, {"GET /info": slow, "GET /": slow, "GET /own": 200})
    assert asked == ["GET /info", "GET /"]
    assert verdict.failed
    assert verdict.identification is None


def test_one_timeout_is_forgiven():
    drivers = (fake("a", (INFO, ROOT), {"GET /": Specificity.SPECIFIC}),)
    verdict, _ = identify(drivers, {"GET /info": RequestTimeoutError("slow"), "GET /": 200})
    assert verdict.identification.driver_type == "a"
    assert verdict.failed


@pytest.mark.parametrize(("error", "failed"), [(ConnectionRefused("no"), True), (Unsupported("no"), False)])
def test_only_a_failure_that_may_pass_leaves_no_miner_uncertain(error, failed):
    verdict, _ = identify((fake("a", (INFO,), {}),), {"GET /info": error})
    assert verdict.identification is None
    assert verdict.failed is failed


def test_a_driver_that_raises_is_left_out_and_told_of(caplog):
    broken = fake("broken", (INFO,), {"GET /info": ZeroDivisionError("oops")})
    sound = fake("sound", (INFO,), {"GET /info": Specificity.SPECIFIC})
    with caplog.at_level(logging.WARNING, "exporter.discovery.identify"):
        verdict, _ = identify((broken, sound), ALL)
    assert verdict.identification.driver_type == "sound"
    assert [record.message for record in caplog.records] == ["driver broken failed to judge a host"]


def test_a_driver_that_cannot_read_an_answer_is_no_news(caplog):
    puzzled = fake("puzzled", (INFO,), {"GET /info": DecodeError("what is this")})
    sound = fake("sound", (INFO,), {"GET /info": Specificity.GENERIC})
    with caplog.at_level(logging.WARNING, "exporter.discovery.identify"):
        verdict, _ = identify((puzzled, sound), ALL)
    assert verdict.identification.driver_type == "sound"
    assert not caplog.records
