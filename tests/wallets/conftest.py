"""What the tests of wallets share."""

import pytest

from exporter.wallets import statistics

#: How long a refresh really waits for a pool.
PATIENCE = statistics._PATIENCE


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A refresh waits for its end, also on a machine that has much else to do."""
    monkeypatch.setattr(statistics, "_PATIENCE", 60.0)


@pytest.fixture
def as_patient_as_it_is(patient, monkeypatch):
    """For tests of just that."""
    monkeypatch.setattr(statistics, "_PATIENCE", PATIENCE)
