"""Rollout by vLLM inside the process that learns, on a GPU and on a CPU alike. Its only importer.

vLLM runs as a library here ("external launcher"): one worker a process, in the process group of
the learner. New weights are handed over as tensors, without a restart, a file or a copy between
processes; requests are scheduled in the order of the calls, so that a seed fixes the samples; and
nothing is left behind when the process ends. On a GPU vLLM gives its memory back between
rollouts. With tensor parallelism neighbouring processes answer all their prompts together.
"""

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

import torch
import torch.distributed as dist
from PIL import Image

from contracts.errors import Preempted
from training.images import decode_image
from training.model import family
from training.model.encoding import template_ids
from training.model.policy import Policy
from training.recipe.model import VllmRollout
from training.rollout.draw import prompt_seed
from training.rollout.protocol import Finished, Prompt, Request, Response, Sample, SamplingSettings
from training.rollout.room import check_room, parted, room_tokens
from training.rollout.tokens import check_tokens
from training.runtime import device
from training.runtime.ahead import ahead
from training.runtime.failures import phase
from training.runtime.log import say
from training.runtime.preemption import NEVER

# Both are read during the import. Nothing is reported to anyone, and a stage's log stays readable.
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
from vllm import LLM, SamplingParams
from vllm.distributed.parallel_state import destroy_model_parallel, get_tp_group
from vllm.sampling_params import RequestOutputKind

# Responses to questions that are prepared before they enter, and threads that decode images of a
# rollout.
PREPARED_AHEAD, DECODING_THREADS = 16, 4
# Classes of vLLM, which has no types to check here.
RequestOutput: TypeAlias = Any
CompletionOutput: TypeAlias = Any
Question: TypeAlias = tuple[dict[str, Any], SamplingParams]
Asked = TypeVar("Asked")


class VllmEngine:
    """Samples from its own copy of a policy's weights.

    Args:
        policy: Its files are sampled from until `load_weights`; its processor prepares the prompts.
            Its weights are not kept: whoever loaded them may let go of them.
        rollout: The recipe's section.
    """

    has_own_weights = True
    # Share of the newest rollout or job between vLLM's steps: questions came in, answers went out.
    idle_share: float = 0.0

    def __init__(self, policy: Policy, rollout: VllmRollout) -> None:
        self._policy = policy.without_weights()
        self._group_size = rollout.tensor_parallel
        with device.vllm_in_this_process():
            self._llm = _start(policy, rollout)
        # Left alone, vLLM would destroy the learner's process group together with its engine.
        self._llm.llm_engine.engine_core._finalizer.detach()
        self.max_length_tokens: int = self._llm.model_config.max_model_len
        self._asleep: set[str] = set()
        self._sleep()

    @phase("sampling")
    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: SamplingSettings,
        generator: torch.Generator,
        is_told: Callable[[], bool] = NEVER.is_told,
    ) -> list[Response]:
        """See `RolloutEngine.generate`; a response depends on weights, prompts and seed alone.

        Raises:
            DataError: A prompt with its longest response exceeds `max_length_tokens`.
            ModelError: vLLM makes other tokens of a prompt than the model's processor.
        """
        named = (("a prompt", prompt) for prompt in prompts)
        check_room(self._policy, named, settings.max_response_tokens, self.max_length_tokens)
        seeds = torch.randint(2**62, (len(prompts),), generator=generator).tolist()
        shares = self._shares_of_group((list(prompts), seeds))
        pairs = [pair for share in shares for pair in zip(*share, strict=True)]
        decoded = _decoded([prompt for prompt, _ in pairs])
        questions = (
            (number, self._question(prompt, images, settings, seed))
            for number, ((prompt, seed), images) in enumerate(zip(pairs, decoded, strict=True))
        )
        answered = dict(self._answers(questions, is_told))
        position = device.rank() % self._group_size
        start = sum(len(prompts) for prompts, _ in shares[:position])
        own = [answered[number] for number in range(start, start + len(prompts))]
        for prompt, output in zip(prompts, own, strict=True):
            check_tokens(self._policy, prompt, list(output.prompt_token_ids))
        return [
            self._response(index, sample, settings)
            for index, output in enumerate(own)
            for sample in output.outputs
        ]

    def stream(self, lots: Iterator[Sequence[Request]], seed: int) -> Iterator[list[Finished]]:
        """See `RolloutEngine.stream`; each request comes when its responses have ended.

        Of processes that hold the weights together the first one takes the lots and hands them
        round, and it alone hands on what is finished. If it is left early, the others raise
        `Preempted`.
        """
        is_first = device.rank() % self._group_size == 0
        refused: SimpleQueue[list[Finished]] = SimpleQueue()
        for request, output in self._answers(self._asked(lots, seed, refused), NEVER.is_told):
            if is_first:
                length = len(output.prompt_token_ids)
                yield [(request, [self._sample(sample, length) for sample in output.outputs])]
        while is_first and not refused.empty():
            yield refused.get()
        say(f"vLLM was idle for {self.idle_share:.1%} of this sampling")

    @phase("refreshing the sampler")
    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """See `RolloutEngine.load_weights`; every process gives the whole weights."""
        model = self._policy.model
        published = (family.as_published(model, name, weight) for name, weight in weights)
        device.release_cached_memory()
        # Only the weights wake up: the KV cache would be in the way of gathering them.
        self._wake("weights")
        with device.vllm_in_this_process():
            # A model's own `load_weights` fails on CPUs, whose kernels keep repacked copies.
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": published})

    def close(self) -> None:
        """See `RolloutEngine.close`; another engine may then have groups of another size.

        vLLM's own end would take the learner's process group along.
        """
        # What sleeps is no longer mapped, and cannot be unmapped once more.
        self._wake("weights")
        self._wake("kv_cache")
        core = self._llm.llm_engine.engine_core.engine_core
        core.structured_output_manager.clear_backend()
        core.model_executor.shutdown()
        core.scheduler.shutdown()
        del core, self._llm
        destroy_model_parallel()
        gc.unfreeze()  # vLLM has kept what its start made from being collected
        for _ in range(2):  # what goes first lets go of compiled code that holds the model
            gc.collect()
        device.release_cached_memory()
        device.release_pinned_memory()

    def _shares_of_group(self, share: tuple[list[Prompt], list[int]]) -> list[Any]:
        """The prompts and seeds of all processes that hold one copy of the weights together."""
        if self._group_size == 1:
            return [share]
        shares: list[Any] = [None] * self._group_size
        dist.all_gather_object(shares, share, group=get_tp_group().cpu_group)
        return shares

    def _asked(
        self, lots: Iterator[Sequence[Request]], seed: int, refused: SimpleQueue[list[Finished]]
    ) -> Iterator[tuple[Request, Question]]:
        """What the group's first process takes, one request after the other, in all of them.

        Those that are too long go to `refused` instead.

        Images are decoded and prompts made into tokens in one thread while vLLM computes. The
        other one only decodes tokens meanwhile, which changes nothing of a tokenizer.
        """

        def prepared(request: Request) -> tuple[Request, Question] | None:
            prompt, settings = request.prompt, request.settings
            if too_long := parted(self._policy, [request], self.max_length_tokens)[1]:
                refused.put(too_long)
                return None
            images = [decode_image(image) for image in prompt.images]
            own_seed = prompt_seed(seed, prompt) % 2**62
            question = self._question(prompt, images, settings, own_seed, wants_log_probs=False)
            return request, question

        made = ahead(
            prepared,
            self._taken(lots),
            depth=PREPARED_AHEAD,
            size=lambda request: request.settings.samples_per_prompt,
        )
        return (one for one in made if one is not None)

    def _taken(self, lots: Iterator[Sequence[Request]]) -> Iterator[Request]:
        is_first = device.rank() % self._group_size == 0
        # Whoever asks for a lot has it, and of the others' nobody would hear again.
        while (lot := self._first_of_group(next(lots, None) if is_first else None)) is not None:
            yield from lot

    def _first_of_group(self, lot: Sequence[Request] | None) -> Sequence[Request] | None:
        if self._group_size == 1:
            return lot
        group = get_tp_group()
        shared = [lot]
        dist.broadcast_object_list(shared, src=group.ranks[0], group=group.cpu_group)
        return shared[0]

    def _is_told_to_group(self, is_told: bool) -> bool:
        """Whether one of those that hold the weights together is to stop; all ask in each step."""
        if self._group_size == 1:
            return is_told
        flag = torch.tensor(int(is_told))
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=get_tp_group().cpu_group)
        return bool(flag)

    def _question(
        self,
        prompt: Prompt,
        images: Sequence[Image.Image],
        settings: SamplingSettings,
        seed: int,
        *,
        wants_log_probs: bool = True,
    ) -> Question:
        inputs: dict[str, Any] = {"prompt_token_ids": template_ids(self._policy, prompt)}
        if images:
            inputs["multi_modal_data"] = {"image": images}
        return inputs, SamplingParams(
            n=settings.samples_per_prompt,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            min_p=settings.min_p,
            max_tokens=settings.max_response_tokens,
            seed=seed,
            stop_token_ids=self._policy.end_token_ids.tolist(),
            logit_bias=dict.fromkeys(self._policy.forbidden_token_ids.tolist(), -torch.inf),
            logprobs=0 if wants_log_probs else None,  # 0: of the sampled token alone
            detokenize=bool(settings.stop),  # only stop strings need it
            stop=list(settings.stop) or None,
            include_stop_str_in_output=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _answers(
        self, questions: Iterator[tuple[Asked, Question]], is_told: Callable[[], bool]
    ) -> Iterator[tuple[Asked, RequestOutput]]:
        """Answers all questions; hands on each output, with what it was asked for, when it is done.

        Images are decoded shortly before their question enters, and only so many enter that the
        engine stays busy: the pixels of a whole rollout would not fit into a host's memory.
        """
        device.release_cached_memory()
        self._wake("weights")
        self._wake("kv_cache")
        self._forget()
        try:
            with device.vllm_in_this_process():
                yield from self._run(questions, is_told)
        except Preempted:
            self._sleep()  # a checkpoint may need the memory
            raise
        self._sleep()

    def _run(
        self, questions: Iterator[tuple[Asked, Question]], is_told: Callable[[], bool]
    ) -> Iterator[tuple[Asked, RequestOutput]]:
        engine = self._llm.llm_engine
        # As many wait as are computed, prepared ones among them: no other process can answer them.
        computed = engine.vllm_config.scheduler_config.max_num_seqs
        max_sequences = 2 * computed - min(PREPARED_AHEAD, computed)
        asked: dict[str, tuple[Asked, int]] = {}  # with how many samples
        num_open = 0
        start_seconds, busy_seconds = perf_counter(), 0.0
        question = next(questions, None)
        while question is not None or engine.has_unfinished_requests():
            while question is not None:
                given, (prompt, params) = question
                # One waits whole, lest the engine run down to the slowest response of another.
                if num_open >= computed + params.n and num_open + params.n > max_sequences:
                    break
                # vLLM names each question by its number.
                asked[str(self._llm.request_counter.counter)] = given, params.n
                self._llm.enqueue([prompt], params, use_tqdm=False)
                num_open += params.n
                question = next(questions, None)
            step_seconds = perf_counter()
            outputs = engine.step()
            busy_seconds += perf_counter() - step_seconds
            try:
                for output in outputs:
                    if output.finished:
                        given, num_samples = asked.pop(output.request_id)
                        num_open -= num_samples
                        yield given, output
            except GeneratorExit:
                self._is_told_to_group(is_told=True)  # else the others wait for the next step
                raise
            if self._is_told_to_group(is_told()):
                engine.abort_request([*asked])
                raise Preempted("sampling was left off")
        seconds = perf_counter() - start_seconds
        self.idle_share = 1.0 - busy_seconds / seconds if busy_seconds else 0.0

    def _sample(self, sample: CompletionOutput, num_prompt_tokens: int) -> Sample:
        return Sample(
            text=self._policy.tokenizer.decode(sample.token_ids, skip_special_tokens=True),
            num_tokens=len(sample.token_ids),
            truncated=sample.finish_reason == "length",
            num_prompt_tokens=num_prompt_tokens,
        )

    def _response(
        self, index: int, sample: CompletionOutput, settings: SamplingSettings
    ) -> Response:
        token_ids = torch.LongTensor(sample.token_ids)
        log_probs = [
            step[token].logprob
            for step, token in zip(sample.logprobs, sample.token_ids, strict=True)
        ]
        return Response(
            prompt_index=index,
            token_ids=token_ids,
            # A greedy draw is certain, whatever the model's distribution.
            log_probs=torch.tensor(log_probs) * (settings.temperature > 0.0),
            text=self._policy.tokenizer.decode(token_ids, skip_special_tokens=True),
            truncated=sample.finish_reason == "length",
        )

    def _forget(self) -> None:
        """Drops what earlier weights and prompts left: images, their features, keys and values.

        Loading weights empties the worker's cache of image features, but the scheduler would still
        count on it ("Encoder cache miss").
        """
        self._llm.reset_mm_cache()
        self._llm.llm_engine.reset_encoder_cache()
        self._llm.reset_prefix_cache()

    def _sleep(self) -> None:
        """Hands the device's memory to the learner (CPUs ignore it); the weights are kept.

        Level 2 would drop more than weights come back: docs/hardware.md, "What nobody has checked".
        """
        self._llm.sleep(level=1)
        self._asleep = {"weights", "kv_cache"}

    def _wake(self, part: str) -> None:
        if part in self._asleep:
            self._llm.wake_up(tags=[part])
            self._asleep.remove(part)


def _decoded(prompts: Sequence[Prompt]) -> Iterator[list[Image.Image]]:
    """The images of each prompt, in order."""
    return ahead(
        lambda prompt: [decode_image(image) for image in prompt.images],
        prompts,
        depth=PREPARED_AHEAD,
        num_threads=DECODING_THREADS,
    )


def _start(policy: Policy, rollout: VllmRollout) -> LLM:
    """Starts vLLM on the files that the policy was loaded from.

    Not on made-up weights to be replaced at once (`load_format="dummy"`): these would also
    overwrite the constants that images are normalised with, which no later weights bring back.
    """
    max_length = room_tokens(policy, rollout)
    ranks = {"RANK": str(device.rank()), "LOCAL_RANK": os.environ.get("LOCAL_RANK", "0")}
    before = {name: os.environ.get(name) for name in ranks}
    try:
        os.environ.update(ranks)  # vLLM asks for them also where no torchrun has set them
        return LLM(
            model=policy.model.name_or_path,
            # The bounds on an image's size may be the recipe's and not the file's.
            mm_processor_kwargs=family.processor_settings(policy.model.config, policy.processor),
            hf_overrides=family.completed_config,
            dtype=str(policy.model.dtype).removeprefix("torch."),
            distributed_executor_backend="external_launcher",
            tensor_parallel_size=rollout.tensor_parallel,
            mm_encoder_tp_mode="data",  # vision towers are small, and their heads seldom divide
            max_model_len=max_length,
            logprobs_mode="processed_logprobs",  # after temperature and top-p
            generation_config="vllm",  # no sampling settings but ours
            **device.vllm_settings(rollout.memory_fraction, max_length),
        )
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
