"""The way onto the engine's loop for other threads."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from exporter.engine.api.caller import OUTSIDE_CALLERS, EngineCaller
from exporter.errors import FlockwatchError, UnavailableError, UsageError
from tests.end_to_end.programs import wait_for


@pytest.fixture
def running():
    """(caller, stop), the loop running on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def stop():
        if not loop.is_closed():

            def cancel_all():
                for task in asyncio.all_tasks(loop):
                    task.cancel()
                loop.call_later(0.05, loop.stop)

            loop.call_soon_threadsafe(cancel_all)
            thread.join(10)
            loop.close()

    yield EngineCaller(loop), stop
    stop()


async def where():
    return threading.get_ident()


def test_calls_run_on_the_loops_thread_and_answers_cross_over(running):
    caller, _ = running
    threads = {caller.call(where) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_errors_cross_over(running):
    caller, _ = running

    async def refuse():
        raise UsageError("no miner has the id 99")

    with pytest.raises(UsageError, match="99"):
        caller.call(refuse)


def test_an_answer_that_does_not_come_is_not_waited_for_and_its_work_is_cancelled(running):
    caller, _ = running
    cancelled = threading.Event()

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(UnavailableError, match=r"within 0\.5 s"):
        caller.call(forever, 0.5)
    assert cancelled.wait(10)


def test_a_time_out_of_the_work_itself_is_its_own_error(running):
    caller, _ = running

    async def late():
        raise TimeoutError("the device")

    with pytest.raises(TimeoutError, match="the device"):
        caller.call(late)


def test_an_answer_that_comes_at_the_last_moment_is_the_answer(running, monkeypatch):
    caller, _ = running

    class LastMoment(Future):
        def result(self, timeout=None):
            if not self.done():
                self.set_result("answered")
                raise TimeoutError
            return super().result(timeout)

    def run(coroutine, _loop):
        coroutine.close()
        return LastMoment()

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", run)
    assert caller.call(where) == "answered"


def test_who_waits_while_the_engine_stops_is_told(running):
    caller, stop = running
    outcome = []
    begun = threading.Event()

    async def forever():
        begun.set()
        await asyncio.Event().wait()

    def call():
        try:
            caller.call(forever)
        except FlockwatchError as error:
            outcome.append(str(error))

    waiting = threading.Thread(target=call)
    waiting.start()
    assert begun.wait(10)
    stop()
    waiting.join(10)
    assert outcome == ["the engine is stopping"]
    with pytest.raises(UnavailableError, match="has stopped"):
        caller.call(where)


def test_those_who_wait_for_slow_devices_leave_room_for_the_others(running):
    caller, _ = running
    begun, slow = [], asyncio.Event()

    async def ask_a_slow_device():
        begun.append(1)
        await slow.wait()
        return "answered"

    async def answer_all():
        slow.set()

    with ThreadPoolExecutor(OUTSIDE_CALLERS) as threads:
        waiting = [threads.submit(caller.call_outside, ask_a_slow_device) for _ in range(OUTSIDE_CALLERS)]
        wait_for(lambda: len(begun) == OUTSIDE_CALLERS, "all to wait")
        with pytest.raises(UnavailableError, match="too many requests"):
            caller.call_outside(ask_a_slow_device)
        caller.call(answer_all)
        assert [one.result(10) for one in waiting] == ["answered"] * OUTSIDE_CALLERS
    assert caller.call_outside(ask_a_slow_device) == "answered"  # every place was given back
