"""What an evaluation keeps of its answers, and what is left to ask."""

from dataclasses import replace

from training.evaluation.parts import Questions, read_part, write_part
from training.rollout.protocol import Prompt, Request, Sample, SamplingSettings
from training.sampling.verdicts import drawn

SETTINGS = SamplingSettings(16, temperature=1.0, samples_per_prompt=3)


def requests(*questions, asked="base", settings=SETTINGS):
    return [
        Request(f"{asked}/{number}", Prompt(question), settings, "5", "sums", asked=asked)
        for number, question in enumerate(questions)
    ]


def said(*texts, failure=""):
    return [Sample(text, 1, truncated=False, failure=failure) for text in texts]


def test_answers_are_found_by_their_prompts_whoever_asks_for_what_reason(tmp_path):
    """Equal prompts of a benchmark have answers of their own: an endpoint draws as it likes."""
    first, twin, other = requests("1?", "1?", "2?")
    answers = [said("a", "b", "c"), said("d", "e", "f"), said("g", "h", "i")]
    write_part(list(zip((first, twin, other), answers, strict=True)), {}, tmp_path / "part")
    later = [
        replace(one, reference="6", id=f"new {one.id}")
        for one in requests("2?", "1?", "3?", "1?", asked="later")
    ]
    questions = Questions(later, read_part(tmp_path / "part"), singly=False)
    assert questions.left == [later[2]]
    fresh = drawn([(later[2], said("x", "y", "z"))])
    finished = questions.finished({later[2].key: fresh})
    assert [request for request, _ in finished] == later
    texts = [[one.text for one in samples] for _, samples in finished]
    assert texts == [["g", "h", "i"], ["a", "b", "c"], ["x", "y", "z"], ["d", "e", "f"]]
    write_part(list(zip(later, answers + answers[:1], strict=True)), {}, tmp_path / "named")
    named = [replace(one, asked="base", reference="") for one in later]
    write_part(list(zip(named, answers + answers[:1], strict=True)), {}, tmp_path / "other")
    assert (tmp_path / "named").read_bytes() == (tmp_path / "other").read_bytes()


def test_what_may_still_be_answered_is_left_one_by_one_or_together(tmp_path):
    (request,) = requests("1?")
    samples = [*said("a"), *said("", failure="status 503"), *said("", failure="status 400: long")]
    write_part([(request, samples)], {}, tmp_path / "part")
    kept = read_part(tmp_path / "part")
    assert Questions([request], kept, singly=False).left == [request]
    questions = Questions([request], kept, singly=True)
    (left,) = questions.left
    assert (left.first_sample, left.settings.samples_per_prompt) == (1, 1)
    rows = drawn([(left, said("b"))])
    assert [row["sample"] for row in rows] == [1]
    ((_, found),) = questions.finished({left.key: rows})
    assert found == [samples[0], *said("b"), samples[2]]
    assert len(Questions([request], {}, singly=True).left) == 3


def test_what_is_not_asked_now_stays_for_when_it_is_again(tmp_path):
    one, other = requests("1?", "2?")
    write_part([(one, said("a", "b", "c"))], {}, tmp_path / "part")
    kept = read_part(tmp_path / "part")
    write_part([(other, said("d", "e", "f"))], kept, tmp_path / "part")
    assert Questions([one, other], read_part(tmp_path / "part"), singly=False).left == []
