"""Every error that is raised on purpose.

RevisualError
├── RecipeError      the recipe is missing, malformed or out of range
├── InputError       a source, a benchmark or a model cannot be found, reached or read, or changed
├── DataError        a source, a record or a curated set breaks a rule
├── ModelError       a model is missing, or is not a vision-language model
├── TrainingError    a policy's updates have become numbers that cannot be used
├── OutOfMemoryError a process got no more memory, of a GPU or of the host
├── SettingsError    an environment variable has a value that cannot be used
├── PreflightError   this machine cannot hold the run
│   └── PlanError    by the plan: a stage needs more than there is, or cannot be planned
├── StoreError       the artifact store cannot be reached, written or trusted
│   └── DamagedError what lies there is not what its reference says
└── ServiceError     the Prefect server or worker cannot be started or found
StageError           a stage's processes failed: its own error, or the end of its log
├── StagePreempted   they were told to stop, and nothing is wrong
└── StageLost        the machine killed them, or cut them off from one another: worth another try
Preempted            inside a stage: told to stop, the state is saved
"""

from contracts.secrets import without_secrets
from contracts.texts import marked


class RevisualError(Exception):
    """An error that says where it happened, which rule was broken and how to fix it.

    Whatever it quotes, no secret is in it, and nothing that hides or moves a cursor: it goes to
    terminals, logs and Prefect's database.

    Args:
        what: What is wrong, in one sentence.
        where: The field, file, address or record concerned.
        rule: The rule that was broken.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str, rule: str, fix: str) -> None:
        what, where, rule, fix = (
            marked(without_secrets(text)) for text in (what, where, rule, fix)
        )
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


class InputError(RevisualError):
    """An input cannot be found, reached or read, or is no more what it was when it was resolved."""


class DataError(RevisualError):
    """A source, a record or a curated set breaks a rule."""


class ModelError(RevisualError):
    """A model path is missing or does not hold a vision-language model."""


class TrainingError(RevisualError):
    """Training cannot go on: updates have become numbers that cannot be used."""


class OutOfMemoryError(RevisualError):
    """A process got no more memory, of a GPU or of the host, or was killed for what it had."""


class SettingsError(RevisualError):
    """An environment variable has a value that cannot be used."""


class PreflightError(RevisualError):
    """This machine cannot hold the run."""


class PlanError(PreflightError):
    """A stage needs more than a machine has, or nothing can be said about it."""


class StoreError(RevisualError):
    """The artifact store cannot be reached, cannot be written, or holds something else."""


class DamagedError(StoreError):
    """Files of an artifact are missing, cut off or changed."""


class ServiceError(RevisualError):
    """The Prefect server or worker cannot be started, reached or stopped."""


class StageError(Exception):
    """A stage's processes failed; the message is the stage's own error, or the end of its log."""


class StagePreempted(StageError):
    """A stage's processes were told to stop, by SIGTERM; nothing is wrong with them."""


class StageLost(StageError):
    """The machine killed a stage's processes or cut them off; the same may go well another time."""


class Preempted(Exception):
    """The stage was told to stop, and has saved its state.

    Args:
        saved: What was saved, with its verb.
    """

    def __init__(self, saved: str) -> None:
        super().__init__(f"told to stop by SIGTERM; {saved}")
