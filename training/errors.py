"""Every error the machine learning raises on purpose.

RevisualError
├── RecipeError    the recipe is missing, malformed or out of range
├── DataError      a source, a record or a curated set breaks a rule
└── ModelError     a model path is missing or is not a vision-language model

Preempted is apart: nothing is wrong, the machine is wanted back.
"""


class RevisualError(Exception):
    """An error that says where it happened, which rule was broken and how to fix it.

    Args:
        what: What is wrong, in one sentence.
        where: The field, file or record concerned.
        rule: The rule that was broken.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str, rule: str, fix: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  rule:  {rule}\n  fix:   {fix}")
        self.what = what
        self.where = where
        self.rule = rule
        self.fix = fix

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive process boundaries by default.
        return _rebuild, (type(self), self.what, self.where, self.rule, self.fix)


def _rebuild(cls: type[RevisualError], what: str, where: str, rule: str, fix: str) -> RevisualError:
    return cls(what, where=where, rule=rule, fix=fix)


class RecipeError(RevisualError):
    """The recipe is missing, malformed or out of range."""


class DataError(RevisualError):
    """A source, a record or a curated set breaks a rule."""


class ModelError(RevisualError):
    """A model path is missing or does not hold a vision-language model."""


class Preempted(Exception):
    """The stage was told to stop, and has saved its state.

    Args:
        step: The step that was saved.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"told to stop by SIGTERM; step {step} is saved")
