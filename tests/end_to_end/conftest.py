"""Fixtures: one flock and one program for the tests that only look, fresh ones for those that break things."""

import pytest

from tests.end_to_end.programs import Program, Simulator


@pytest.fixture
def simulator():
    running = Simulator()
    yield running
    running.stop()


@pytest.fixture
def program(tmp_path, simulator):
    running = Program(tmp_path, simulator).start()
    yield running
    running.stop()
