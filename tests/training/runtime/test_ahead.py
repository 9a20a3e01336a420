"""Work that is done before its result is asked for."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.runtime.ahead import ahead


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("depth", [1, 3, 100])
def test_results_come_in_order(num_threads, depth):
    made = ahead(lambda number: number**2, range(20), depth=depth, num_threads=num_threads)
    assert list(made) == [number**2 for number in range(20)]
    assert list(ahead(str, [])) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_begun_than_asked_for(depth):
    given = list[int]()

    def numbers():
        for number in range(10):
            given.append(number)
            yield number

    made = ahead(str, numbers(), depth=depth)
    for number in range(10):
        assert next(made) == str(number)
        assert len(given) == min(number + 1 + depth, 10)


@given(sizes=st.lists(st.integers(1, 40), max_size=30), depth=st.integers(1, 50))
def test_what_is_begun_ahead_is_bounded_by_its_size(sizes, depth):
    begun = list[int]()

    def numbers():
        for number in range(len(sizes)):
            begun.append(number)
            yield number

    made = ahead(lambda number: number, numbers(), depth=depth, size=sizes.__getitem__)
    for number in range(len(sizes)):
        assert next(made) == number
        waiting = [sizes[other] for other in begun if other > number]
        assert sum(waiting[:-1]) <= depth  # how large the newest is was not known before
        assert waiting or number == len(sizes) - 1


def test_the_next_one_is_made_while_the_caller_has_one():
    """It would wait for ever, were it made only when it is asked for."""
    is_used = threading.Event()

    def work(number):
        if number == 1:
            assert is_used.wait(60)
        return number

    made = ahead(work, [0, 1])
    assert next(made) == 0
    is_used.set()
    assert next(made) == 1


def test_an_error_comes_where_its_result_would_have_and_no_thread_stays():
    threads = set(threading.enumerate())

    def work(number):
        if number == 2:
            raise KeyError(number)
        return number

    made = ahead(work, range(9), depth=3)
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(KeyError, match="2"):
        next(made)
    assert set(threading.enumerate()) <= threads
    with pytest.raises(StopIteration):
        next(made)


def test_who_stops_early_leaves_no_thread():
    threads = set(threading.enumerate())
    made = ahead(str, range(9), num_threads=2, depth=4)
    next(made)
    assert set(threading.enumerate()) - threads
    made.close()
    assert set(threading.enumerate()) <= threads
