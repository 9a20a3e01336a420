"""Who judges the responses of a job."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from training.answers import AnswerVerifier, Outcome
from training.rollout.protocol import Finished, Request, Sample
from training.sampling.chunks import Answer, Drawn

REFERENCE = "reference"  # the judge who knows the right answers

# Requests and one response to each -> the verdict on each.
Judge = Callable[[Sequence[Request], Sequence[str]], list[Outcome]]


def compare_with_reference(verifier: AnswerVerifier) -> Judge:
    """A judge who compares each response's answer with the request's reference."""

    def judge(requests: Sequence[Request], responses: Sequence[str]) -> list[Outcome]:
        questions = [request.prompt.question for request in requests]
        return verifier.verify(responses, [one.reference for one in requests], questions)

    return judge


def drawn(finished: Sequence[Finished]) -> list[Drawn]:
    """Every response, without a verdict."""
    return [
        {
            "request": request.key,
            "draw": request.draw,
            "sample": number,
            "text": sample.text,
            "num_tokens": sample.num_tokens,
            "truncated": sample.truncated,
            "failure": sample.failure,
            "num_prompt_tokens": sample.num_prompt_tokens,
        }
        for request, samples in finished
        for number, sample in zip(request.numbers, samples, strict=True)
    ]


def finished_again(request: Request, rows: Sequence[Drawn]) -> Finished:
    """What `drawn` was made of, of one request."""
    return request, [
        Sample(
            row["text"],
            row["num_tokens"],
            row["truncated"],
            row["failure"],
            row["num_prompt_tokens"],
        )
        for row in rows
    ]


def judged(finished: Sequence[Finished], judges: Mapping[str, Judge]) -> list[Answer]:
    """Every response with the verdict of its request's judge, who is called once.

    Where there is no response, there is nothing that could be right.
    """
    waiting: dict[str, list[tuple[Request, str]]] = defaultdict(list)
    for request, samples in finished:
        waiting[request.judge] += [(request, one.text) for one in samples if not one.failure]
    verdicts = {
        name: iter(judges[name]([one for one, _ in pairs], [text for _, text in pairs]))
        for name, pairs in waiting.items()
    }
    asked = [request for request, samples in finished for _ in samples]
    return [
        {**row, "outcome": "unparseable" if row["failure"] else next(verdicts[request.judge])}
        for request, row in zip(asked, drawn(finished), strict=True)
    ]
