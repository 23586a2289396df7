"""All checks in the order of the page. Pure: facts in, checks out."""

from __future__ import annotations

from exporter.diagnostics.facts import Facts
from exporter.diagnostics.finding import discovery_checks
from exporter.diagnostics.host import program_checks
from exporter.diagnostics.money import share_checks, wallet_checks
from exporter.diagnostics.offline import offline_checks, unwatched_check
from exporter.diagnostics.usb import usb_checks
from exporter.engine.api.program import Check


def run_checks(facts: Facts) -> tuple[Check, ...]:
    """Judge the facts."""
    return (
        *discovery_checks(facts),
        *usb_checks(facts),
        *offline_checks(facts),
        *unwatched_check(facts),
        *wallet_checks(facts),
        *share_checks(facts),
        *program_checks(facts),
    )
