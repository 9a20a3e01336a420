"""Every error the infrastructure raises on purpose.

    InfraError
    ├── SettingsError    an environment variable has a value that cannot be used
    ├── PreflightError   this machine cannot hold the run
    ├── StoreError       the artifact store cannot be reached, written or trusted
    │   └── DamagedError what lies there is not what its reference says
    ├── StageError       a stage's processes failed
    └── ServiceError     the Prefect server or worker cannot be started or found

They mirror `training.errors`: infra and training do not import each other.
"""


class InfraError(Exception):
    """An error that says where it happened, which rule was broken and how to fix it.

    Args:
        what: What is wrong, in one sentence.
        where: The file, address or variable concerned.
        rule: The rule that was broken.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str, rule: str, fix: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  rule:  {rule}\n  fix:   {fix}")
        self.what = what
        self.where = where
        self.rule = rule
        self.fix = fix


class SettingsError(InfraError):
    """An environment variable has a value that cannot be used."""


class PreflightError(InfraError):
    """This machine cannot hold the run."""


class StoreError(InfraError):
    """The artifact store cannot be reached, cannot be written, or holds something else."""


class DamagedError(StoreError):
    """Files of an artifact are missing, cut off or changed."""


class ServiceError(InfraError):
    """The Prefect server or worker cannot be started, reached or stopped."""


class StageError(Exception):
    """A stage's processes failed; the message is the stage's own error, or the end of its log."""


class StagePreempted(StageError):
    """A stage's processes were told to stop, by SIGTERM; nothing is wrong with them."""
