"""Verifying answers: is what a response boxed the reference answer?

`boxed` finds the answer, `normal` and `dress` take from it what says nothing, `reading` makes it a
value, `questions` reads what is asked for, `comparison` and `quick` decide, at once and safely.
`symbolic` hands the few that are beyond our grammar to math-verify, which may hang on hostile input
and therefore runs in the killable processes of `verifier`.
"""

from training.answers.boxed import MAX_ANSWER_CHARS, extract_boxed
from training.answers.outcome import OUTCOMES, UNDECIDED, Outcome, count_outcomes
from training.answers.protocol import AnswerVerifier
from training.answers.verifier import Verifier, verify, verify_in_process

__all__ = [
    "MAX_ANSWER_CHARS",
    "OUTCOMES",
    "UNDECIDED",
    "AnswerVerifier",
    "Outcome",
    "Verifier",
    "count_outcomes",
    "extract_boxed",
    "verify",
    "verify_in_process",
]
