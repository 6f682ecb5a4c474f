"""Lanes: every job once, neighbours together, and ends that reach every thread."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerability.engine import Engine, Job
from steerability.engine.lanes import MOST, SMALL_BYTES, Plan, lanes_for, parts, side_by_side
from support.models import tiny


@given(st.integers(0, 60), st.integers(1, 4), st.lists(st.integers(0, 3), max_size=200))
def test_every_job_is_taken_once_whoever_asks(jobs, lanes, askers):
    plan = Plan(range(jobs), lanes)
    asked = [*(asker % lanes for asker in askers), *list(range(lanes)) * jobs]
    taken = [found[0] for lane in asked if (found := plan.take(lane))]
    assert sorted(taken) == list(range(jobs))


def test_parts_are_contiguous_and_a_lane_that_is_done_takes_the_further_half():
    plan = Plan([5, 4, 3, 2, 1, 0], 2)
    assert [plan.take(0), plan.take(0), plan.take(0)] == [(5, 4), (4, 3), (3, None)]
    assert plan.take(0) == (1, 0)
    assert plan.take(1) == (2, None)
    assert plan.take(1) == (0, None)
    assert plan.take(0) is None and plan.take(1) is None


@pytest.mark.parametrize(
    ("weights", "threads", "sequences", "lanes"),
    [
        (10**8, 2, 16, 2),
        (10**8, 2, 7, 1),
        (10**8, 1, 16, 1),
        (10**8, 64, 64, MOST),
        (SMALL_BYTES + 1, 8, 64, 1),
        (10**8, 8, 0, 1),
    ],
)
def test_how_many_lanes(weights, threads, sequences, lanes):
    assert lanes_for(weights, threads, sequences) == lanes


def test_parts_are_as_equal_as_can_be():
    assert parts(7, 3) == [3, 2, 2]
    assert parts(2, 2) == [1, 1]


def test_a_lane_that_fails_ends_the_others_and_is_heard():
    plan = Plan(range(2), 2)
    ended = threading.Event()

    def fails(_):
        yield 1
        raise ValueError("no room")

    def waits(_):
        while not plan.stopped:
            time.sleep(0.01)
        ended.set()
        yield 2

    with pytest.raises(ValueError, match="no room"):
        list(side_by_side([fails, waits], plan, lambda count: None))
    assert ended.is_set()


def test_progress_comes_in_the_thread_that_iterates():
    seen = []

    def work(tick):
        tick(3)
        yield "x"

    plan = Plan([], 1)
    found = list(
        side_by_side([work, work], plan, lambda n: seen.append((n, threading.current_thread())))
    )
    assert found == ["x", "x"] and seen == [(3, threading.main_thread())] * 2


def test_lanes_change_no_token_and_a_closed_run_leaves_no_thread(tmp_path):
    path = tiny(tmp_path / "tiny.gguf")
    jobs = [Job(tuple(range(8, 20 + n)), 4 + n % 5, frozenset()) for n in range(24)]
    found = []
    for threads in (1, 2, 3):
        with Engine(path, threads=threads) as engine:
            found.append(dict(engine.generate(jobs)))
            assert engine.facts()["lanes"] == threads
    assert found[0] == found[1] == found[2]

    before = threading.active_count()
    with Engine(path, threads=2) as engine:
        running = engine.generate(jobs)
        next(running)
        running.close()
        assert threading.active_count() == before
        assert dict(engine.generate(jobs)) == found[0]
