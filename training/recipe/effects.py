"""Which fields of the recipe change results, and in which stages.

Every field is declared: in `RESULTS` if the same inputs may come out otherwise with another value,
in `NO_RESULTS` if it only decides where, how fast or how safely the same result is computed. A
stage's key is made of the first kind alone, so that less memory, other hardware or another rhythm
of saving never costs a finished stage. What such a field changes is the order of sums, at most.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from contracts.run_record import StageKind
from training.recipe.recipe import Recipe

STAGE_KINDS: tuple[StageKind, ...] = ("curate", "sft", "rl", "evaluate")
_ALL = STAGE_KINDS

# Field of the recipe -> the kinds of stage whose results it changes.
READERS: Mapping[str, tuple[StageKind, ...]] = {
    "name": (),
    "seed": _ALL,
    "system_prompt": _ALL,
    "model": _ALL,
    "hardware": (),
    "rollout": ("curate", "rl", "evaluate"),
    "answers": ("curate", "rl", "evaluate"),
    "sources": ("curate",),
    "curation": ("curate",),
    "stages": ("sft", "rl"),  # each reads its own section
    "evaluation": ("evaluate",),
    "evaluation.benchmarks": ("curate", "evaluate"),  # no set may hold a benchmark's question
    "gates": (),  # they judge a result, they do not make it
    "checkpoints": (),
    "logging": (),
}

# What decides which questions a benchmark asks: curation leaves these out of every set, and nothing
# else of a benchmark changes what it makes.
QUESTIONS = ("name", "kind", "num_problems", "columns")

# Section -> its fields that change results. Sections are classes of training.recipe.
RESULTS: Mapping[str, str] = {
    "ModelRecipe": "dtype max_pixels",
    "TransformersRollout": "engine",
    "VllmRollout": "engine max_length_tokens",
    "SourceRecipe": "name kind modality num_problems num_planted columns answer_rule keep "
    "image_files",
    "SetRecipe": "name modality num_problems needs_solution min_pass_rate max_pass_rate min_level "
    "max_level max_per_source",
    "CurationRecipe": "samples_per_problem temperature max_response_tokens max_prompt_tokens "
    "steps duplicates decontamination traces grader topics balance_by sets",
    "DuplicatesRecipe": "similarity",
    "DecontaminationRecipe": "containment number_variants",
    "TracesRecipe": "min_tokens max_tokens max_repeated max_other_script",
    "GraderRecipe": "model samples_per_problem rollout",
    "EmbeddingRecipe": "max_tokens",
    "TopicsRecipe": "embedding min_rows max_clustered names",
    "TopicNamesRecipe": "model rollout endpoint prompt",
    "EndpointRecipe": "model",
    "AnswersRecipe": "accept_rounded",
    "BenchmarkRecipe": "name kind num_problems samples_per_problem temperature top_p columns "
    "metric tolerance",
    "EvaluationRecipe": "benchmarks max_response_tokens temperature top_p samples_per_problem "
    "judge",
    "JudgeRecipe": "model prompt max_response_tokens agreement_samples",
    "OptimizerRecipe": "learning_rate weight_decay max_grad_norm warmup_ratio schedule",
    "LoraRecipe": "rank alpha components",
    "SftStage": "kind name data optimizer epochs batch_size max_length_tokens freeze lora",
    "AccuracyReward": "kind weight",
    "FormatReward": "kind weight",
    "EfficientLengthReward": "kind weight budget_tokens alpha delta",
    "RepetitionReward": "kind weight ngram",
    "KeywordsReward": "kind weight words value",
    "OverlongReward": "kind weight limit_tokens buffer_tokens",
    "CustomReward": "kind weight function",
    "PadRecipe": "strategy low high ratio temperature_start temperature_end "
    "importance_weight refill_rounds",
    "CorrectionRecipe": "kind level cap",
    "KlRecipe": "coefficient estimator cap",
    "EntropyRecipe": "coefficient decay warmup_updates warmup",
    "ValidationRecipe": "num_problems every_steps temperature patience",
    "RlStage": "kind name data mixed_with optimizer num_steps prompts_per_step group_size "
    "updates_per_step max_response_tokens temperature top_p top_k min_p stop clip_low clip_high "
    "dual_clip log_ratio_bound surrogate ratio_level correction aggregation advantage_scale pad kl "
    "entropy validation rewards mask_truncated freeze lora",
}

# Fields that every gate has, and every expectation of the user's own.
_GATE = "severity severities on_failure pause_hours expectations"
_EXPECTATION = "name table severity kind"
_OF_COLUMN = f"{_EXPECTATION} column"
_OF_ROWS = f"{_OF_COLUMN} share"

# Section -> its fields that change none.
NO_RESULTS: Mapping[str, str] = {
    "ModelRecipe": "path revision",  # the digest of what lies there counts
    "EmbeddingRecipe": "path revision",
    "TopicNamesRecipe": "connection",
    "EndpointRecipe": "address",
    "HardwareRecipe": "num_processes threads_per_process zero_stage offload_optimizer "
    "activation_checkpointing share_images reference_in_host retries collective_timeout_minutes "
    "pool executor nodes address placement_timeout_minutes stages",
    "StageHardware": "num_processes threads_per_process zero_stage offload_optimizer "
    "activation_checkpointing share_images reference_in_host pool executor nodes address",
    "VllmRollout": "tensor_parallel memory_fraction",
    "SourceRecipe": "dataset path revision config split",  # as the model's; what it fills in counts
    "BenchmarkRecipe": "path revision config split",
    "EvaluationRecipe": "connection",
    "JudgeRecipe": "address connection",  # the model's name counts
    "ConnectionRecipe": "key_variable concurrency timeout_seconds retries backoff_seconds "
    "max_answer_bytes",
    "OptimizerRecipe": "max_nonfinite_in_a_row",  # a stage ends by it, or comes out the same
    "SftStage": "tokens_per_micro_batch",
    "RlStage": "tokens_per_micro_batch",
    "CheckpointsRecipe": "every_steps every_minutes keep_last grace_seconds",
    "LoggingRecipe": "sinks project",
    "CheckpointGate": _GATE,
    "CurationGate": f"{_GATE} min_rows_per_set min_families max_missing_rows max_refused "
    "max_near_duplicates raw_share max_question_characters max_answer_characters max_images "
    "max_rejects",
    "RolloutsGate": f"{_GATE} every_steps min_reward_spread max_truncated max_zero_variance "
    "min_response_tokens max_response_tokens max_length_growth min_entropy max_entropy "
    "max_sampler_kl max_reference_kl max_duplicates max_timeouts share_of_steps max_idle_steps",
    "EvaluationGate": f"{_GATE} min_gain_points max_unparseable max_drop_points drops",
    "DropRecipe": "name stage benchmarks max_points alpha severity",
    **dict.fromkeys(("NotNullExpectation", "UniqueExpectation"), _OF_ROWS),
    **dict.fromkeys(("BetweenExpectation", "LengthExpectation"), f"{_OF_ROWS} min max"),
    "SetExpectation": f"{_OF_ROWS} values",
    "PatternExpectation": f"{_OF_ROWS} pattern",
    **dict.fromkeys(("MeanExpectation", "DistinctExpectation"), f"{_OF_COLUMN} min max"),
    "RowsExpectation": f"{_EXPECTATION} min max",
    "GatesRecipe": "curation checkpoint rollouts evaluation",
}


def changes_results(section: str, field: str) -> bool:
    """Whether a field of a section is declared as one that changes results.

    Raises:
        KeyError: It is not declared, or declared twice.
    """
    is_result = field in RESULTS.get(section, "").split()
    is_none = field in NO_RESULTS.get(section, "").split()
    if is_result == is_none:
        raise KeyError(f"declare {section}.{field} once in training.recipe.effects")
    return is_result


def result_fields(recipe: Recipe, stage: str) -> dict[str, Any]:
    """The part of a recipe that decides one stage's result.

    Args:
        recipe: The resolved recipe.
        stage: `curate`, the name of a training stage, or `evaluate`.

    Returns:
        JSON-compatible values, nested as in the recipe; a training stage's own section is `stage`.
    """
    section = next((one for one in recipe.stages if one.name == stage), None)
    kind: StageKind = section.kind if section else stage  # type: ignore[assignment]  # one of two
    fields = {
        name: _results_of(getattr(recipe, name))
        for name in type(recipe).model_fields
        if kind in READERS[name] and name != "stages"
    }
    if section:
        fields["stage"] = _results_of(section)
    if kind == "curate":
        if recipe.curation.grader is not None:  # a default that is written out changes nothing
            fields["curation"]["grader"]["rollout"] = _results_of(recipe.grader_rollout)
        names = recipe.curation.topics.names
        if names is not None and names.model is not None:
            fields["curation"]["topics"]["names"]["rollout"] = _results_of(recipe.names_rollout)
        fields["benchmarks"] = [
            {name: _results_of(getattr(one, name)) for name in QUESTIONS}
            for one in recipe.evaluation.benchmarks
        ]
    return fields


def _results_of(value: Any) -> Any:  # noqa: ANN401 - whatever a recipe holds
    """A value of the recipe without the fields that change no result."""
    if isinstance(value, BaseModel):
        section = type(value).__name__
        return {
            name: _results_of(getattr(value, name))
            for name in type(value).model_fields
            if changes_results(section, name)
        }
    if isinstance(value, tuple | list):
        return [_results_of(each) for each in value]
    if isinstance(value, dict):
        return {name: _results_of(each) for name, each in value.items()}
    return value
