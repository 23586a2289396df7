"""A pool has one number for people, in the form, in what will happen and in the log. Programs count from 0."""

import dataclasses

import pytest

from exporter.drivers.commands import CommandRefused, PoolSetting
from exporter.drivers.families.axeos_pools import pool_settings
from exporter.engine.api.commands import OfferedCommand, Offers, SetPool
from exporter.engine.commanding.planning import public_values
from exporter.engine.commanding.values import checked_pool
from exporter.errors import FieldError
from exporter.store.secret import Secret
from onboarding_ui.command_forms import forms_of
from onboarding_ui.command_words import order_words
from tests.commands import (
    test_antminer_commands,
    test_avalon_commands,
    test_axeos_commands,
    test_nerdqaxe_commands,
    test_nmminer_commands,
    test_vnish_commands,
)
from tests.commands.rpc_miner import context_of

URL, USER = "stratum+tcp://pool.example:3333", "someone.rig"
FAMILIES = {
    "antminer": lambda: (test_antminer_commands.DRIVER, test_antminer_commands.context()),
    "avalon": lambda: (
        test_avalon_commands.AVALON,
        context_of(test_avalon_commands.Q, test_avalon_commands.reading(), web_password="root"),
    ),
    "axeos": lambda: (test_axeos_commands.DRIVER, test_axeos_commands.about("v2.15.0")),
    "nerdqaxe": lambda: (test_nerdqaxe_commands.DRIVER, test_nerdqaxe_commands.NEW),
    "nmaxe": lambda: (test_nmminer_commands.DRIVER, test_nmminer_commands.AXE),
    "nmminer": lambda: (test_nmminer_commands.DRIVER, test_nmminer_commands.HTTP),
    "vnish": lambda: (test_vnish_commands.DRIVER, test_vnish_commands.context()),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_form_effect_and_log_call_a_pool_by_the_same_number(family):
    driver, context = FAMILIES[family]()
    rules = driver.pool_rules(context)
    assert rules.slots > 1
    offers = Offers((OfferedCommand("pool", "", slots=rules.slots),))
    for slot, label in forms_of(offers, None, ()).slots:
        order = SetPool(URL, USER, Secret("x"), slot)
        plan = driver.set_pool(checked_pool(order, rules), context)
        assert plan.effect.startswith(f"Pool {label} becomes "), plan.effect
        assert order_words("pool", public_values(order)).startswith(f"Pool {label}, ")
        assert public_values(order)["slot"] == slot == int(label) - 1


def test_refusals_call_it_so_too():
    driver, context = FAMILIES["axeos"]()
    rules = driver.pool_rules(context)
    order = SetPool(URL, USER, Secret("x"), 2)
    with pytest.raises(FieldError, match=r"^slot: must be from 0 \(Pool 1\) to 1 \(Pool 2\)$"):
        checked_pool(order, rules)
    with pytest.raises(FieldError, match=r"^slot: must be 0: this miner has Pool 1 only$"):
        checked_pool(order, dataclasses.replace(rules, slots=1))
    told = {**test_axeos_commands.POOLS, "primaryPoolIndex": None}
    with pytest.raises(CommandRefused, match=r"which of its pools is Pool 1$"):
        pool_settings(told, PoolSetting(0, URL, USER))
