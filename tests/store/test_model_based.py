"""Any sequence of changes leaves the tables equal to a plain dict, in memory and on disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from exporter.store.atomic import parse_document
from exporter.store.database import Database
from exporter.store.rows import DuplicateKey
from exporter.store.secret import Secret

KEYS = st.sampled_from([f"serial:{letter}" for letter in "abcdef"])
MACS = st.none() | st.sampled_from([f"02:00:5e:10:00:0{digit}" for digit in "123"])
TEXT = st.none() | st.text(max_size=8)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "key": KEYS,
        "mac": MACS,
        "name": TEXT,
        "address": st.none() | st.sampled_from(["192.0.2.1", "192.0.2.2"]),
        "managed": st.booleans(),
        "labels": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "last_seen": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "http_port": st.none() | st.integers(1, 65535),
    },
)
DEFAULTS = {
    "mac": None,
    "name": None,
    "address": None,
    "managed": True,
    "labels": {},
    "last_seen": None,
    "http_port": None,
}


class Interrupted(Exception):
    """What a failing transaction raises here."""


class Tables(RuleBasedStateMachine):
    """`rows` is the plain dict; `given` are all ids that were ever handed out."""

    ids = Bundle("ids")

    @initialize()
    def start(self):
        self.directory = Path(tempfile.mkdtemp())
        self.database = Database.open(self.directory / "flock.json", flush_delay=0.0)
        self.rows: dict[int, dict] = {}
        self.secrets: dict[int, str] = {}
        self.given: set[int] = set()

    def teardown(self):
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.directory)

    def allowed(self, row_id, fields):
        """Whether no other row has the key or the MAC."""
        others = [row for other, row in self.rows.items() if other != row_id]
        return not any(
            row["key"] == fields["key"] or (fields["mac"] is not None and row["mac"] == fields["mac"]) for row in others
        )

    def insert_row(self, key, changes):
        fields = {**DEFAULTS, **changes, "key": key}
        if not self.allowed(None, fields):
            with pytest.raises(DuplicateKey):
                self.database.miners.insert(driver="bitaxe", **fields)
            return None
        row = self.database.miners.insert(driver="bitaxe", **fields)
        assert row.id not in self.given
        self.given.add(row.id)
        self.rows[row.id] = fields
        return row.id

    def update_row(self, row_id, changes):
        if row_id not in self.rows:
            with pytest.raises(KeyError):
                self.database.miners.update(row_id, **changes)
            return
        fields = {**self.rows[row_id], **changes}
        if not self.allowed(row_id, fields):
            with pytest.raises(DuplicateKey):
                self.database.miners.update(row_id, **changes)
            return
        self.database.miners.update(row_id, **changes)
        self.rows[row_id] = fields

    def delete_row(self, row_id):
        if row_id not in self.rows:
            with pytest.raises(KeyError):
                self.database.miners.delete(row_id)
            return
        self.database.miners.delete(row_id)
        del self.rows[row_id]
        self.secrets.pop(row_id, None)

    @rule(target=ids, key=KEYS, changes=CHANGES)
    def insert(self, key, changes):
        row_id = self.insert_row(key, changes)
        return multiple() if row_id is None else row_id

    @rule(row_id=ids, changes=CHANGES)
    def update(self, row_id, changes):
        self.update_row(row_id, changes)

    @rule(row_id=consumes(ids))
    def delete(self, row_id):
        self.delete_row(row_id)

    @rule(row_id=ids, text=st.text(min_size=1, max_size=8))
    @precondition(lambda self: self.rows)
    def set_password(self, row_id, text):
        if row_id in self.rows:
            self.database.passwords.set(row_id, Secret(text))
            self.secrets[row_id] = text

    @rule(
        steps=st.lists(st.tuples(st.sampled_from(["insert", "update", "delete"]), KEYS, CHANGES), max_size=4),
        fails=st.booleans(),
        nested=st.booleans(),
    )
    def transaction(self, steps, fails, nested):
        before = ({row_id: dict(row) for row_id, row in self.rows.items()}, dict(self.secrets))

        def work():
            with self.database.transaction():
                for what, key, changes in steps:
                    row_id = next(reversed(self.rows), 0)
                    if what == "insert":
                        self.insert_row(key, changes)
                    elif what == "update":
                        self.update_row(row_id, changes)
                    else:
                        self.delete_row(row_id)
                if fails:
                    raise Interrupted

        try:
            if nested:
                with self.database.transaction():
                    work()
            else:
                work()
        except Interrupted:
            self.rows, self.secrets = before

    @rule()
    def commit(self):
        self.database.commit_now()
        document = parse_document(self.database.path.read_bytes(), "test")
        assert {int(row_id) for row_id in document.get("miners", {})} == set(self.rows)

    @rule()
    def reopen(self):
        self.database.close()
        self.database = Database.open(self.database.path, flush_delay=0.0)

    @invariant()
    def equal(self):
        if not hasattr(self, "database"):
            return
        found = self.database.miners.all()
        assert [row.id for row in found] == sorted(self.rows)
        for row in found:
            expected = self.rows[row.id]
            assert {name: getattr(row, name) for name in expected} == expected
            assert self.database.miners.get(row.id) is row
            assert self.database.miners.by_key(row.key) is row
            if row.mac is not None:
                assert self.database.miners.by_mac(row.mac) is row
        for address in ("192.0.2.1", "192.0.2.2"):
            there = {row_id for row_id, row in self.rows.items() if row["address"] == address}
            assert {row.id for row in self.database.miners.by_address(address)} == there
        assert {row.id: row.password.reveal() for row in self.database.passwords.all()} == self.secrets


Tables.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTables = Tables.TestCase
