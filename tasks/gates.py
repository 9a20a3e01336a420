"""The gates between the stages: they take a reference and return it, or raise.

A gate whose recipe says `on_failure = "pause"` asks a person instead of ending the run. A run that
the worker started is suspended for it: its process ends, and with it the run's slot in the queue.
Once it is resumed it begins anew, finds its stages in the store, and comes back here with the
answer. Elsewhere the flow waits where it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput, keyset_from_base_key
from prefect.logging import get_run_logger
from pydantic import Field

from contracts.artifact import Artifact
from contracts.run_record import GateDecision, GateRecord
from contracts.secrets import masks_secrets, without_secrets
from contracts.texts import marked
from data_checks import gate
from data_checks.gate import GateError
from data_checks.validate import Checked
from infra.inputs.folder import local_folder
from tasks.display import artifact_key, show_page
from tasks.run import Run
from training.recipe.gates import GateRecipe
from training.recipe.stages import Stage

POLL_SECONDS = 2
SECONDS_PER_HOUR = 3600
ENDED = "-refused"
MAX_INPUTS = 200  # of a run's, that the server lists at once; a question has four at most
MODEL = "model/"  # where a training stage's artifact has its policy
VERDICTS: dict[str, Literal["released", "refused"]] = {"release": "released", "refuse": "refused"}


class Decision(RunInput):
    """The form that a person fills in about a gate that stopped a run."""

    decision: Literal["release", "refuse"]
    reason: Annotated[str, Field(min_length=3, max_length=2000)]


def check_curation(run: Run, data: Artifact) -> Artifact:
    """Between curation and training: enough rows, well formed, varied, and none of the test's."""
    return _pass(
        run,
        *("curation", run.recipe.gates.curation, data),
        lambda: gate.check_curation(run.recipe, run.store().fetch(data)),
    )


def check_stage(run: Run, stage: Stage, before: Artifact, policy: Artifact) -> Artifact:
    """After a training stage: whole and finite weights; after RL, rollouts that can teach."""

    def weights() -> Checked:
        store = run.store()
        files = {file.path: file.sha256 for file in store.manifest(policy).files}
        return gate.check_checkpoint(
            run.recipe,
            stage,
            store.fetch(policy, attachments=False) / MODEL,
            _model_folder(run, before),
            {path.removeprefix(MODEL): digest for path, digest in files.items()},
        )

    gates = run.recipe.gates
    _pass(run, f"checkpoint-{stage.name}", gates.checkpoint, policy, weights)
    if stage.kind == "rl":
        _pass(
            run,
            *(f"rollouts-{stage.name}", gates.rollouts, policy),
            lambda: gate.check_rollouts(
                run.recipe, stage, run.store().fetch(policy, only=["metrics.jsonl"])
            ),
        )
    return policy


def check_evaluation(run: Run, scores: Artifact) -> Artifact:
    """After the evaluation: scores in range, answers that parse, and the gain that is asked for."""
    return _pass(
        run,
        *("evaluation", run.recipe.gates.evaluation, scores),
        lambda: gate.check_evaluation(run.recipe, run.store().fetch(scores)),
    )


def check_scores(run: Run, scores: Artifact, policies: Sequence[str]) -> Artifact:
    """After an evaluation by itself: as `check_evaluation`, and no gain is asked for."""
    return _pass(
        run,
        *("evaluation", run.recipe.gates.evaluation, scores),
        lambda: gate.check_evaluation(run.recipe, run.store().fetch(scores), policies),
    )


def _model_folder(run: Run, policy: Artifact) -> Path:
    folder = local_folder(run.store(), policy, run.settings)
    return folder / MODEL if (folder / MODEL).is_dir() else folder


def _pass(
    run: Run, name: str, recipe: GateRecipe, artifact: Artifact, look: Callable[[], Checked]
) -> Artifact:
    """Checks an artifact, and returns it if the run may go on.

    Raises:
        GateError: A check failed that stops a run, and no person released it.
    """
    before = run.gate(name)  # of an attempt of this run that ended after a person's decision
    state = _look(run, name, look, return_state=True)
    found = state.result(raise_on_failure=False)
    if not isinstance(found, BaseException):
        return artifact
    if not isinstance(found, GateError) or recipe.on_failure == "fail":
        raise found
    decision = _kept(before, found.record, artifact) or _asked(found, artifact, recipe.pause_hours)
    checked = _with(found.checked, decision)
    run.note_gate(checked.record)
    said = f"The gate {name} was {decision.verdict}: {decision.reason}"
    get_run_logger().warning(said)
    create_markdown_artifact(_quoted(said), key=artifact_key("gate", name, "decision"))
    if decision.verdict == "refused":
        raise GateError(checked, where=found.where, fix=found.fix)
    return artifact


@task(name="check", cache_policy=NO_CACHE, task_run_name="check-{name}")
@masks_secrets
def _look(run: Run, name: str, look: Callable[[], Checked]) -> None:
    """Runs a gate's checks and shows what they saw, whether it stops the run or not."""
    try:
        checked = look()
    except GateError as error:
        show_gate(run, error.checked)
        raise
    show_gate(run, checked)


def show_gate(run: Run, checked: Checked) -> None:
    """Tables and a link to the Data Docs in the UI, and an entry in the run's diary."""
    record, name = checked.record, checked.record.name
    run.note_gate(record)
    failed = ", ".join(check.name for check in record.failed)
    create_table_artifact(
        [{field: str(value) for field, value in check} for check in record.checks],
        key=artifact_key("gate", name),
        description=f"Gate {name}: {f'failed {failed}' if failed else 'passed'}",
    )
    if checked.rows:
        columns = dict.fromkeys(column for row in checked.rows for column in row)
        create_table_artifact(
            [{column: row.get(column, "") for column in columns} for row in checked.rows],
            key=artifact_key("gate", name, "rows"),
            description=f"Gate {name}: the first rows that break an expectation",
        )
    page = run.keep_docs(name, checked.docs)
    told = f"Data Docs of the gate {name}"
    show_page(run.settings, page, "gate", name, "docs", description=told)
    if failed:
        get_run_logger().warning("Gate %s failed: %s", name, failed)


def _kept(before: GateRecord | None, now: GateRecord, artifact: Artifact) -> GateDecision | None:
    """The release of an earlier attempt of this run, if the gate sees the very same again."""
    if before is None or before.decision is None or before.checks != now.checks:
        return None
    is_same = before.decision.sha256 == artifact.sha256
    return before.decision if is_same and before.decision.verdict == "released" else None


def _asked(error: GateError, artifact: Artifact, hours: float) -> GateDecision:
    """What a person decides; a run that was suspended comes by again with the answer.

    Another artifact is another question: its digest is in the key of the pause.
    """
    waits_here = runtime.deployment.id is None
    name = artifact_key(error.record.name, artifact.sha256[:12])
    base_key = f"{'paused' if waits_here else 'suspended'}-{name}"
    number, answer = _answered(base_key)
    if answer is None:
        number += 1
        form = Decision.with_initial_data(description=_question(error))
        key, seconds = f"{name}-{number}", round(hours * SECONDS_PER_HOUR)
        if waits_here:
            answer = pause_flow_run(form, timeout=seconds, poll_interval=POLL_SECONDS, key=key)
        else:
            answer = suspend_flow_run(form, timeout=seconds, key=key)
    if answer.decision == "refuse":
        _end_question(f"{base_key}-{number}")
    return GateDecision(
        verdict=VERDICTS[answer.decision],
        reason=marked(without_secrets(answer.reason)),
        decided=datetime.now(UTC),
        sha256=artifact.sha256,
    )


def _answered(base_key: str) -> tuple[int, Decision | None]:
    """How often this run was asked about an artifact, and the last answer if it still holds.

    Prefect keeps forms and answers as inputs of the run, beyond its attempts, and takes no second
    form by the same key. So questions have numbers. A refusal ends one attempt: a person who
    retries the run is asked anew, as after a question that nobody answered in time.
    """
    run_id = UUID(runtime.flow_run.id)
    with get_client(sync_client=True) as client:
        inputs = client.filter_flow_run_input(
            run_id, key_prefix=f"{base_key}-", limit=MAX_INPUTS, exclude_keys=set()
        )
        kept = {one.key for one in inputs}
        number = sum(key.endswith("-schema") for key in kept)
        given = keyset_from_base_key(f"{base_key}-{number}")["response"]
        if given not in kept or f"{base_key}-{number}{ENDED}" in kept:
            return number, None
        return number, Decision.model_validate_json(client.read_flow_run_input(run_id, given))


def _end_question(key: str) -> None:
    """Notes that an answer has had its effect, and is none for the run's next attempt."""
    with get_client(sync_client=True) as client:
        client.create_flow_run_input(UUID(runtime.flow_run.id), f"{key}{ENDED}", "true")


def _question(error: GateError) -> str:
    """What the form says, in Markdown."""
    record = error.record
    lines = [f"- {_quoted(gate.describe(check))}" for check in record.stopping]
    return "\n".join(
        [
            f"The gate **{record.name}** found {len(lines)} broken expectation(s):",
            "",
            *lines,
            "",
            "The rows and the Data Docs are among this run's artifacts. A release lets the run go "
            "on, a refusal ends it; the reason is kept in its report and its lineage.",
        ]
    )


def _quoted(text: str) -> str:
    """Somebody's text as code, which no reader of Markdown takes for more than text."""
    return f"`` {marked(without_secrets(text)).replace('`', chr(39))} ``"


def _with(checked: Checked, decision: GateDecision) -> Checked:
    return replace(checked, record=checked.record.model_copy(update={"decision": decision}))
