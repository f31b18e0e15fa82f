"""Which layers stay on the chip: what is wrong here is streamed at every call for nothing."""

import itertools
import random
import time

import pytest

from atoll.edgetpu.caching import Layer, choose


def saved(layers, cached):
    return sum(layer.saved for layer, kept in zip(layers, cached, strict=True) if kept)


def used(layers, cached):
    return sum(layer.words for layer, kept in zip(layers, cached, strict=True) if kept)


def test_all_is_cached_where_all_fits():
    layers = [Layer(10, 2560), Layer(20, 5120, 5), Layer(0, 0)]
    assert choose(layers, 32, tiles=2) == [True, True, True]


def test_a_layer_is_cached_whole_or_not_at_all():
    """Of equal ones the last is kept: published times say so."""
    assert choose([Layer(20, 5120), Layer(20, 5120)], 39) == [False, True]


@pytest.mark.parametrize("seed", range(20))
def test_equal_layers_fill_the_memory_as_far_as_any_choice_can(seed):
    """Held against all subsets: taking what fits, in order, leaves room unused."""
    rng = random.Random(seed)
    layers = [Layer(words, words * 256) for words in rng.choices(range(1, 60), k=10)]
    room = sum(layer.words for layer in layers) // 2
    cached = choose(layers, room)
    best = max(
        total
        for kept in itertools.product((False, True), repeat=len(layers))
        if (total := used(layers, kept)) <= room
    )
    assert used(layers, cached) == best


def test_layers_with_half_filled_words_are_streamed_first():
    """They take twice the room of what they save."""
    layers = [Layer(10, 1280), Layer(10, 2560), Layer(10, 2560)]
    assert choose(layers, 20) == [False, True, True]


def test_layers_that_are_sent_several_times_a_call_are_kept():
    layers = [Layer(10, 2560), Layer(10, 5120)]
    assert choose(layers, 10) == [False, True]


def test_a_dense_block_needs_room_on_one_tile():
    """Enough is left in all, and on no tile enough: so with 17 blocks of 1,728 words."""
    assert choose([Layer(17 * 1728, 1, 1728)], 16 * 2016) == [False]
    assert choose([Layer(16 * 1728, 1, 1728)], 16 * 2016) == [True]


def test_dense_blocks_use_the_tiles_that_earlier_ones_leave_empty():
    layers = [Layer(3 * 100, 1, 100), Layer(3 * 30, 1, 30)]
    assert choose(layers, 4 * 100, tiles=4) == [True, True]


def test_five_thousand_layers_are_chosen_from_quickly():
    rng = random.Random(0)
    layers = [Layer(words, words * 256) for words in rng.choices(range(1, 2000), k=5000)]
    start = time.perf_counter()
    cached = choose(layers, 30_000)
    assert time.perf_counter() - start < 2
    assert used(layers, cached) == 30_000


def test_many_dense_layers_that_just_do_not_fit_take_no_time():
    """Tiles of an odd number of words, blocks of two: seconds a layer if each block were tried."""
    room = 16 * 1999
    start = time.perf_counter()
    assert not any(choose([Layer(room, 1, 2)] * 2000, room))
    assert time.perf_counter() - start < 1
