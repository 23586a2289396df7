"""What a miner is asked before it is known what it offers: facts of that one miner, as they are now."""

import json

import pytest

from exporter.drivers.api import Answer, HttpRequest
from exporter.drivers.commands import CommandRefused
from exporter.engine.api.commands import Pause, SetFan, SetMode, SetPreset
from exporter.errors import FieldError, NotOfferedError, UnavailableError
from exporter.model import ModelInfo, Preset
from exporter.units import ratio, watts
from tests.commands.rigs import CommandRig, ended, flock_of, rigs
from tests.engine.bench import at, driver_set, run
from tests.engine.doors.calls import ask

PRESETS = HttpRequest("/presets")
FANS = HttpRequest("/fans", optional=True)


class PresetRig(CommandRig):
    """Tells its presets and the least duty of its fans only where it is asked for them; its model has presets too."""

    def offer_reads(self, command, context):
        if command == "mode":
            raise CommandRefused("this firmware tells nothing of its modes")
        return {"preset": (PRESETS,), "fan": (FANS,)}.get(command, ())

    def list_presets(self, context):
        listed = context.answers.optional_document(PRESETS.key) or {}
        return tuple(Preset(name, power=watts(float(name)), tuned=tuned) for name, tuned in listed.items())

    def apply_preset(self, name, context):
        return self.set_mode(name, context)

    def fan_range(self, context):
        return ratio(context.answers.document(FANS.key)["least"]), ratio(1.0)

    def set_fan(self, duty, context):
        return self.set_mode("fan", context)

    def model_requests(self, context):
        return (PRESETS,)

    def decode_model(self, answers, context):
        listed = answers.document(PRESETS.key)
        presets = tuple(Preset(name, power=watts(float(name)), tuned=tuned) for name, tuned in listed.items())
        return ModelInfo("r1", presets=presets)


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs an async function of (bench, door, ids of two rigs), the second of which has tuned its largest preset."""

    def go(story):
        async def whole(bench):
            for number, tuned in ((1, False), (2, True)):
                bench.hosts.put(at(number))
                presets(bench, number, {"2000": True, "2600": tuned})
                bench.hosts.hosts[at(number)]["GET /ranges"] = Answer(b'{"least": 4e8, "most": 6e8}')
                bench.hosts.hosts[at(number)]["GET /fans"] = Answer(b'{"least": 0.25}')
            kept = {address: dict(host) for address, host in bench.hosts.hosts.items()}
            old_put = bench.hosts.put

            def put(address, **document):
                old_put(address, **document)
                bench.hosts.hosts[address] = {**kept[address], **bench.hosts.hosts[address]}

            bench.hosts.put = put
            return await story(bench, *await flock_of(bench, 2))

        return run(tmp_path, monkeypatch, whole, **rigs(drivers=driver_set(PresetRig()), passwords=("right",)))

    return go


def presets(bench, number, listed):
    bench.hosts.hosts[at(number)][PRESETS.key] = Answer(json.dumps(listed).encode())


def test_which_presets_are_tuned_is_asked_of_the_miner_itself_each_time(play):
    async def story(bench, door, ids):
        with pytest.raises(FieldError, match="2600 cannot be applied: it is not tuned yet"):
            await ask(door.start, ids[0], SetPreset("2600"), "local")
        done = await ended(door, await ask(door.start, ids[1], SetPreset("2600"), "local"))
        assert done.state == "confirmed"
        presets(bench, 1, {"2000": True, "2600": True, "3000": True})  # it has tuned, and learned another one
        offers = {one.command: one for one in (await ask(door.offers, ids[0])).commands}
        assert offers["preset"].choices == (("2000", None), ("2600", None), ("3000", None))
        done = await ended(door, await ask(door.start, ids[0], SetPreset("3000"), "local"))
        assert done.state == "confirmed"

    play(story)


def test_the_ceiling_is_judged_by_the_miners_own_list(play):
    async def story(bench, door, ids):
        bench.db.models.set_max_preset("r1", "2000")
        with pytest.raises(FieldError, match="above the ceiling '2000'"):
            await ask(door.start, ids[1], SetPreset("2600"), "local")
        presets(bench, 2, {"2600": True})
        with pytest.raises(FieldError, match="none of this miner's presets"):
            await ask(door.start, ids[1], SetPreset("2600"), "local")
        assert bench.hosts.writes == []

    play(story)


def test_a_model_keeps_names_and_powers_but_nothing_that_one_miner_has_done(play):
    async def story(bench, door, ids):
        (model,) = bench.db.models.all()
        assert model.presets == (Preset("2000", power=watts(2000.0)), Preset("2600", power=watts(2600.0)))

    play(story)


def test_a_miner_that_does_not_tell_its_presets_is_told_none_but_offers_the_rest(play):
    async def story(bench, door, ids):
        bench.hosts.hosts[at(1)][PRESETS.key] = Answer(b"{}", 500)
        with pytest.raises(UnavailableError, match="does not tell what it offers"):
            await ask(door.start, ids[0], SetPreset("2000"), "local")
        offered = [one.command for one in (await ask(door.offers, ids[0])).commands]
        assert offered == ["restart", "mode", "tuning", "pool", "fan"]

    play(story)


def test_the_least_duty_is_the_miners_own_and_one_that_tells_none_takes_none(play):
    async def story(bench, door, ids):
        for duty in (0.0, 0.24):
            with pytest.raises(FieldError, match=r"duty: must be from 0\.25 to 1"):
                await ask(door.start, ids[0], SetFan(ratio(duty)), "local")
        del bench.hosts.hosts[at(1)][FANS.key]
        with pytest.raises(UnavailableError):
            await ask(door.start, ids[0], SetFan(ratio(0.5)), "local")
        assert "fan" not in [one.command for one in (await ask(door.offers, ids[0])).commands]
        assert bench.hosts.writes == []

    play(story)


def test_who_asks_for_what_is_not_offered_is_told_all_that_is(play):
    async def story(bench, door, ids):
        with pytest.raises(NotOfferedError) as caught:
            await ask(door.start, ids[0], Pause(), "local")
        assert caught.value.offered == ("restart", "mode", "preset", "tuning", "pool", "fan")
        assert str(caught.value).endswith("it offers restart, mode, preset, tuning, pool, fan")

    play(story)


def test_a_command_asks_for_nothing_that_it_does_not_need(play):
    async def story(bench, door, ids):
        bench.hosts.asked.clear()
        assert (await ended(door, await ask(door.start, ids[0], SetMode("eco"), "local"))).state == "confirmed"
        assert {key for _, key in bench.hosts.asked} == {"GET /rig"}

    play(story)


def test_what_a_driver_wants_to_ask_is_a_question(play, monkeypatch):
    monkeypatch.setattr(PresetRig, "offer_reads", lambda *_: ("GET /presets",))

    async def story(bench, door, ids):
        with pytest.raises(UnavailableError, match="driver"):
            await ask(door.start, ids[0], SetPreset("2000"), "local")
        assert bench.hosts.writes == []

    play(story)
