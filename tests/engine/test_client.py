"""The door to the engine for other threads."""

import asyncio
import threading

import pytest

from exporter.engine.client import LoopEngineApi
from exporter.errors import FlockwatchError, UsageError


class Engine:
    """Stands for the engine: notes on which thread it is called."""

    ready = True

    def __init__(self):
        self.threads = set()

    def snapshot(self):
        return "the flock"

    async def rescan(self, miner_id):
        self.threads.add(threading.get_ident())
        if miner_id is not None:
            raise UsageError(f"no miner has the id {miner_id}")
        return {"found": 3}

    async def forget(self, miner_id):
        self.threads.add(threading.get_ident())


@pytest.fixture
def running():
    """(api, engine, loop, stop), the loop running on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    engine = Engine()

    def stop():
        if not loop.is_closed():

            def cancel_all():
                for task in asyncio.all_tasks(loop):
                    task.cancel()
                loop.call_later(0.05, loop.stop)

            loop.call_soon_threadsafe(cancel_all)
            thread.join(10)
            loop.close()

    yield LoopEngineApi(loop, engine), engine, loop, stop
    stop()


def test_calls_run_on_the_engines_thread_and_answers_cross_over(running):
    api, engine, _, _ = running
    assert api.snapshot() == "the flock"
    assert api.ready() is True
    assert api.rescan() == {"found": 3}
    assert api.forget(1) is None
    assert engine.threads
    assert threading.get_ident() not in engine.threads


def test_errors_cross_over(running):
    api, _, _, _ = running
    with pytest.raises(UsageError, match="99"):
        api.rescan(99)


def test_an_answer_that_does_not_come_is_not_waited_for_and_its_work_is_cancelled(running):
    api, _, _, _ = running
    cancelled = threading.Event()

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(FlockwatchError, match=r"within 0\.05 s"):
        api.call(forever, 0.05)
    assert cancelled.wait(10)


def test_a_time_out_of_the_work_itself_is_its_own_error(running):
    api, _, _, _ = running

    async def late():
        raise TimeoutError("the device")

    with pytest.raises(TimeoutError, match="the device"):
        api.call(late)


def test_who_waits_while_the_engine_stops_is_told(running):
    api, _, _, stop = running
    outcome = []
    begun = threading.Event()

    async def forever():
        begun.set()
        await asyncio.Event().wait()

    def call():
        try:
            api.call(forever)
        except FlockwatchError as error:
            outcome.append(str(error))

    caller = threading.Thread(target=call)
    caller.start()
    assert begun.wait(10)
    stop()
    caller.join(10)
    assert outcome == ["the engine is stopping"]
    with pytest.raises(FlockwatchError, match="has stopped"):
        api.rescan()
