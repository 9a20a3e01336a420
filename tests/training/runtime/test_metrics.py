import json

from training.runtime.metrics import MetricsLog


def test_each_line_is_there_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.write(step=1, num_steps=2, loss=0.5)
    assert json.loads(path.read_text())["loss"] == 0.5
    log.write(step=2, num_steps=2, loss=float("nan"), kl=None)
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["step"], last["num_steps"], last["loss"], last["kl"]) == (2, 2, None, None)
    assert last["seconds"] >= 0.0


def test_other_ranks_write_nothing(tmp_path):
    MetricsLog(None).write(step=1, num_steps=1, loss=0.5)
    assert list(tmp_path.iterdir()) == []


def test_the_log_gets_a_line_for_every_tenth_of_the_stage(tmp_path, capsys):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in range(1, 26):
        log.write(step=step, num_steps=25, reward=step / 25, entropy=None, grad_norm=1.0)
    said = [line.rpartition(", ")[0] for line in capsys.readouterr().out.splitlines()]
    # The first step at or above 2.5, 5, 7.5 and so on.
    assert said == [
        f"step {step}/25, reward {step / 25:.3g}" for step in (3, 5, 8, 10, 13, 15, 18, 20, 23, 25)
    ]
