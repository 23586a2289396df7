"""Orders against what a driver offers and a person allowed."""

import pytest

from exporter.drivers.api import DecodeContext, Driver
from exporter.drivers.commands import CommandContext, CommandRefused, Plan, PoolRules, TuningRange
from exporter.engine.api.commands import Identify, Pause, Restart, SetFan, SetMode, SetPool, SetPreset, SetTuning
from exporter.engine.commanding.offers import offers_of
from exporter.engine.commanding.planning import make_plan, named_for, public_values, short_user
from exporter.engine.commanding.values import Limits, check_pool_url
from exporter.errors import FieldError, ForbiddenError, InternalError, NotOfferedError
from exporter.model import Preset
from exporter.store.secret import Secret
from exporter.units import hertz, ratio, volts, watts

CONTEXT = CommandContext(DecodeContext(1.0))
PRESETS = (
    Preset("1000", power=watts(1000.0), tuned=True),
    Preset("1500", power=watts(1500.0), tuned=False),
    Preset("2000", power=watts(2000.0), tuned=True),
    Preset("3000", power=watts(3000.0), tuned=True, modified_psu_required=True),
)
RANGES = (
    TuningRange("frequency", "Hz", 400e6, 600e6, (400e6, 490e6, 600e6), 490e6),
    TuningRange("core_voltage", "V", 1.0, 1.3),
)
FREE = Limits()


class Everything(Driver):
    """Offers all commands and notes what reaches it."""

    driver_type = "everything"

    def __init__(self):
        self.got = None

    def _plan(self, *got):
        self.got = got
        return Plan("Something happens.", lambda _: (), lambda _: True)

    def restart(self, context):
        return self._plan("restart")

    def identify_light(self, on, context):
        return self._plan("light", on)

    def supported_modes(self, context):
        return ("eco", "standard")

    def set_mode(self, mode, context):
        return self._plan("mode", mode)

    def list_presets(self, context):
        return PRESETS

    def apply_preset(self, name, context):
        return self._plan("preset", name)

    def tuning_reads(self, context):
        return ()

    def decode_tuning(self, answers, context):
        return RANGES

    def set_tuning(self, values, context):
        return self._plan("tuning", dict(values))

    def pool_rules(self, context):
        return PoolRules(slots=3, longest_user=20)

    def set_pool(self, setting, context):
        return self._plan("pool", setting)

    def fan_range(self, context):
        return ratio(0.2), ratio(1.0)

    def set_fan(self, duty, context):
        return self._plan("fan", duty)


def planned(order, limits=FREE):
    driver = Everything()
    make_plan(driver, order, CONTEXT, RANGES, limits)
    return driver.got


def refused(order, limits=FREE):
    with pytest.raises(FieldError) as caught:
        make_plan(Everything(), order, CONTEXT, RANGES, limits)
    return caught.value.field


def pool(url="stratum+tcp://pool.example:3333", user="wallet.worker", password="x", slot=0):
    return SetPool(url, user, Secret(password), slot)


def test_an_order_reaches_the_driver_with_its_values():
    assert planned(Restart()) == ("restart",)
    assert planned(Identify(False)) == ("light", False)
    assert planned(SetMode("eco")) == ("mode", "eco")
    assert planned(SetTuning(hertz(490e6), volts(1.1))) == ("tuning", {"frequency": 490e6, "core_voltage": 1.1})
    assert planned(SetFan()) == ("fan", None)
    assert planned(pool(slot=2))[1].slot == 2


def test_a_command_that_is_not_offered_says_what_is():
    with pytest.raises(NotOfferedError, match="restart, identify, mode, preset, tuning, pool, fan") as caught:
        planned(Pause())
    assert "restart" in caught.value.offered


def test_a_driver_without_commands_offers_none():
    with pytest.raises(NotOfferedError, match="offers no commands"):
        make_plan(Driver(), Restart(), CONTEXT, (), FREE)
    offers = offers_of(Driver(), CONTEXT, (), FREE)
    assert offers.commands == ()
    assert offers.reason


def test_values_outside_the_devices_own_range_are_refused_by_field():
    assert refused(SetMode("turbo")) == "mode"
    assert refused(SetTuning(frequency=hertz(500e6))) == "frequency"
    assert refused(SetTuning(core_voltage=volts(1.31))) == "core_voltage"
    assert refused(SetTuning()) == "frequency"
    assert refused(SetFan(ratio(0.1))) == "duty"
    assert refused(pool(slot=3)) == "slot"
    assert refused(pool(user="")) == "user"
    assert refused(pool(user="a" * 21)) == "user"
    assert refused(pool(user="a\nb")) == "user"
    assert refused(pool(password="p\x00")) == "password"


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (SetTuning(frequency=hertz(500e6)), "frequency: must be one of 400, 490, 600 MHz"),
        (SetTuning(core_voltage=volts(1.31)), "core_voltage: must be from 1 to 1.3 V"),
    ],
)
def test_ranges_are_told_as_people_write_them(order, words):
    with pytest.raises(FieldError) as caught:
        planned(order)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "url",
    [
        "pool.example:3333",
        "http://pool.example:3333",
        "stratum+tcp://pool.example",
        "stratum+tcp://user:word@pool.example:3333",
        "stratum+tcp://pool.example:0",
        "stratum+tcp://pool.example:99999",
        "stratum+tcp://pool.example:3333/path",
        "stratum+tcp://:3333",
        "stratum+tcp://pool example:3333",
        "stratum+tcp://" + "a" * 300 + ":3333",
        "stratum+tcp://pool.example:3333?a=b",
        "stratum+tcp://pool.exa\nmple:3333",
        "stratum+tcp://pool.example:3333\n",
        " stratum+tcp://pool.example:3333",
        "stratum+tcp://pool.example:３333",
        "stratum+ssl://pool.example:3333",
    ],
)
def test_a_pool_must_be_scheme_host_and_port(url):
    with pytest.raises(FieldError) as caught:
        check_pool_url(url, PoolRules(slots=3))
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("stratum+tcp://pool.example:3333", "stratum+tcp://pool.example:3333"),
        ("stratum+tcp://pool.example:3333/", "stratum+tcp://pool.example:3333"),
        ("stratum+tcp://[2001:db8::1]:3333", "stratum+tcp://[2001:db8::1]:3333"),
        # A driver looks for the scheme in lower case: in capitals, encryption would be dropped unseen.
        ("Stratum+SSL://Pool.Example:443", "stratum+ssl://Pool.Example:443"),
    ],
)
def test_a_good_pool_reaches_the_driver_in_one_spelling(url, written):
    assert check_pool_url(url, PoolRules(slots=3, schemes=("stratum+tcp", "stratum+ssl"))) == written


def test_many_miners_each_get_a_worker_of_their_own():
    order = pool(user="wallet.{name}")
    assert named_for(order, "Garage #2 / left").user == "wallet.Garage-2-left"
    assert named_for(order, "⛏").user == "wallet.worker"
    assert named_for(pool(user="wallet.rig"), "garage").user == "wallet.rig"
    assert named_for(Restart(), "garage") == Restart()


class OldFirmware(Everything):
    """Lacks a light, which its driver knows."""

    def identify_light(self, on, context):
        raise CommandRefused("this firmware has no light; newer ones do")


def test_what_the_firmware_lacks_is_not_offered_and_the_driver_says_why():
    with pytest.raises(NotOfferedError) as caught:
        make_plan(OldFirmware(), Identify(), CONTEXT, RANGES, FREE)
    assert str(caught.value) == "this firmware has no light; newer ones do"
    assert caught.value.offered == ("restart", "mode", "preset", "tuning", "pool", "fan")
    offers = offers_of(OldFirmware(), CONTEXT, RANGES, FREE)
    assert "identify" not in [one.command for one in offers.commands]


@pytest.mark.parametrize("plan", [None, "restart", Plan("Never ends.", tuple, bool, limit_seconds=float("inf"))])
def test_a_driver_that_makes_no_usable_plan_is_at_fault(plan):
    driver = Everything()
    driver.restart = lambda context: plan
    with pytest.raises(InternalError, match="plan"):
        make_plan(driver, Restart(), CONTEXT, RANGES, FREE)


def test_only_presets_up_to_the_ceiling_are_applied():
    assert planned(SetPreset("2000")) == ("preset", "2000")
    assert refused(SetPreset("2500")) == "preset"
    assert refused(SetPreset("1500")) == "preset"  # not tuned
    assert planned(SetPreset("1000"), Limits("1000")) == ("preset", "1000")
    assert refused(SetPreset("2000"), Limits("1000")) == "preset"
    assert refused(SetPreset("1000"), Limits("gone")) == "preset"


def test_a_preset_for_a_modified_supply_wants_to_be_confirmed():
    assert refused(SetPreset("3000")) == "confirm_modified_psu"
    assert planned(SetPreset("3000", confirm_modified_psu=True)) == ("preset", "3000")
    assert refused(SetPreset("3000", confirm_modified_psu=True), Limits("2000")) == "preset"


def test_where_a_ceiling_is_required_none_means_no():
    with pytest.raises(ForbiddenError, match="max_preset"):
        planned(SetPreset("1000"), Limits(None, require_max_preset=True))


def test_offers_tell_why_a_choice_cannot_be_made():
    offers = {one.command: one for one in offers_of(Everything(), CONTEXT, RANGES, Limits("1000")).commands}
    why = dict(offers["preset"].choices)
    assert why["1000"] is None
    assert "not tuned" in why["1500"]
    assert "ceiling" in why["2000"]
    assert offers["tuning"].ranges[0][:4] == ("frequency", "Hz", 400e6, 600e6)
    assert offers["pool"].slots == 3
    assert offers["restart"].effect == "Something happens."


def test_the_log_sees_no_password_and_no_whole_wallet():
    wallet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    values = public_values(pool(user=f"{wallet}.garage", password="hunter2"))
    assert "hunter2" not in str(values)
    assert wallet not in str(values)
    assert values["user"].endswith(".garage")
    assert short_user("account.worker") == "account.worker"
