import torch

from training.runtime.seeds import rows_at, seeded_generator


def test_every_epoch_is_a_new_permutation():
    rows = rows_at(0, 30, num_rows=10, seed=1, label="stage")
    epochs = [rows[:10], rows[10:20], rows[20:]]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_depends_on_the_position_alone():
    whole = rows_at(0, 25, num_rows=10, seed=1, label="stage")
    pieces = [
        row
        for start, count in ((0, 7), (7, 1), (8, 17))
        for row in rows_at(start, count, num_rows=10, seed=1, label="stage")
    ]
    assert pieces == whole
    assert rows_at(0, 25, num_rows=10, seed=2, label="stage") != whole
    assert rows_at(0, 25, num_rows=10, seed=1, label="other") != whole


def test_generators_differ_by_label_and_repeat():
    def numbers(*labels):
        return torch.rand(4, generator=seeded_generator(*labels)).tolist()

    assert numbers(0, "sampling", 1) == numbers(0, "sampling", 1)
    assert len({tuple(numbers(*labels)) for labels in [(0, "a", 1), (0, "a", 2), (1, "a", 1)]}) == 3
