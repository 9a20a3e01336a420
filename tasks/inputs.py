"""Inputs as artifacts: every source, benchmark and base model gets a reference before any stage.

A reference's digest is that of the bytes it stands for, wherever they lie: an edited row, another
commit and an added benchmark change the keys of the stages that read them. What is generated is
known by its parameters; its code is in the stages' keys.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from contracts.places import HubPlace, Place, is_commit
from contracts.secrets import masks_secrets
from infra.digests import content_digest
from infra.inputs.folder import digest_files, list_files, local_folder
from infra.inputs.hub import UnreachableHub, repo_type
from infra.inputs.wanted import Listing, Wanted, unread_remark
from infra.settings import Settings
from infra.store import Store
from tasks.assets import emit_asset
from tasks.keys import name_key
from tasks.run import Run
from tasks.scratch import note_inputs
from training.evaluation.registry import place_of
from training.model.check import check_links, check_model
from training.model.template import try_template
from training.recipe.curation import EMBEDDING, GRADER, NAMER, EmbeddingRecipe
from training.recipe.evaluation import BenchmarkRecipe
from training.recipe.model import ModelRecipe
from training.recipe.recipe import CurationRecipe, Recipe
from training.recipe.sources import SourceRecipe

KIND = "input"
SAMPLED = {GRADER, NAMER}  # of curation's other models, those that an engine of ours samples from
Tell = Callable[[str, Artifact, bool], None]


@dataclass(frozen=True)
class Inputs:
    """What stages read that no stage made.

    Attributes:
        base: The base policy.
        sources: By the names that stages know them by, `source:<name>`.
        benchmarks: By the names that stages know them by, `benchmark:<name>`.
        models: Curation's other models, by the names that it knows them by.
        remarks: What a reader should know of the places where sources and benchmarks lie.
    """

    base: Artifact
    sources: dict[str, Artifact]
    benchmarks: dict[str, Artifact]
    models: dict[str, Artifact] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def all(self) -> dict[str, Artifact]:
        """Every one of them by its name."""
        return {"base": self.base, **self.models, **self.sources, **self.benchmarks}


@task(cache_policy=NO_CACHE, task_run_name="resolve-inputs")
@masks_secrets
def resolve_inputs(run: Run) -> Inputs:
    """Resolves everything that the stages will read, and shows what it is.

    Raises:
        InputError: A source, a benchmark or the base model cannot be found, reached or read.
        ModelError: The base model is no vision-language model.
        StoreError: The store cannot be written.
    """
    store, log = run.store(), get_run_logger()

    def tell(name: str, artifact: Artifact, reused: bool) -> None:
        log.info("%s: %s", name, describe(store, artifact))
        emit_asset(store, artifact, reused=reused)

    inputs = resolve(run, tell, log.warning)
    check_files(local_folder(store, inputs.base, run.settings))
    for name in SAMPLED & inputs.models.keys():
        check_files(local_folder(store, inputs.models[name], run.settings))
    note_inputs(run.work, inputs.all.values())
    create_markdown_artifact(table(store, inputs), key="inputs")
    return inputs


def resolve(run: Run, tell: Tell, warn: Callable[[str], None]) -> Inputs:
    """See `resolve_inputs`.

    Args:
        run: The run that asks.
        tell: Told of each input, and whether an earlier run has resolved it to the same.
        warn: Told what a person should know.
    """
    resolver, recipe = Resolver(run, tell, warn), run.recipe
    inputs = Inputs(
        base=resolver.located("base", wanted_model(recipe.model)),
        sources={
            source.input_name: resolver.located(source.input_name, wanted)
            if (wanted := wanted_source(source))
            else resolver.generated(source.input_name, pocket_parameters(source, recipe.seed))
            for source in recipe.sources
        },
        benchmarks=resolver.benchmarks(recipe),
        models={
            name: resolver.located(name, wanted)
            for name, wanted in curation_models(recipe.curation).items()
        },
    )
    return replace(inputs, remarks=tuple(resolver.remarks))


def list_inputs(recipe: Recipe, settings: Settings) -> int:
    """Checks that all inputs can be found and reached, without reading them.

    Returns:
        Bytes of the base model.

    Raises:
        InputError: One of them cannot.
        ModelError: The base model, in a folder of this machine, is no vision-language model.
    """
    for source in recipe.sources:
        if wanted := wanted_source(source):
            list_files(wanted, wanted.revision, settings.home)
    for benchmark in recipe.evaluation.benchmarks:
        if wanted := wanted_benchmark(benchmark):
            list_files(wanted, wanted.revision, settings.home)
    for name, wanted in curation_models(recipe.curation).items():
        list_files(wanted, wanted.revision, settings.home)
        if name in SAMPLED and wanted.kind == "local":
            check_base(Path(wanted.path))
    model = wanted_model(recipe.model)
    num_bytes = list_files(model, model.revision, settings.home).num_bytes
    if model.kind == "local":
        check_base(Path(model.path))
    return num_bytes


def check_base(folder: Path) -> None:
    """Checks a base model's files, its configuration and its chat template; loads no weights.

    Raises:
        ModelError: They will not do.
    """
    check_links(folder)
    check_files(folder)


def check_files(folder: Path) -> None:
    """As `check_base`, of a folder that this machine made of links to the files.

    Raises:
        ModelError: They will not do.
    """
    check_model(folder)
    try_template(folder)


def wanted_model(model: ModelRecipe) -> Wanted:
    """What the recipe's base model is read from."""
    return Wanted("The model", "model", model.path, "model", revision=model.revision or "main")


def curation_models(curation: CurationRecipe) -> dict[str, Wanted]:
    """What curation's other models are read from, by the names that it knows them by."""
    grader = curation.grader.model if curation.grader is not None else None
    namer = curation.topics.names.model if curation.topics.names is not None else None
    asked: dict[str, tuple[str, str, ModelRecipe | EmbeddingRecipe | None]] = {
        GRADER: ("The grader", "curation.grader.model", grader),
        EMBEDDING: ("The embedding model", "curation.topics.embedding", curation.topics.embedding),
        NAMER: ("The model that names topics", "curation.topics.names.model", namer),
    }
    return {
        name: Wanted(title, section, model.path, "model", revision=model.revision or "main")
        for name, (title, section, model) in asked.items()
        if model is not None
    }


def wanted_source(source: SourceRecipe) -> Wanted | None:
    """What a source is read from; None for one that is generated."""
    if source.path is None or source.kind == "pocket":
        return None
    return Wanted(
        f"The source {source.name}",
        f"sources.{source.name}",
        source.path,
        source.kind,
        revision=source.revision or "main",
        config=source.config,
        split=source.split or "train",
        images=source.image_files,
    )


def wanted_benchmark(benchmark: BenchmarkRecipe) -> Wanted | None:
    """What a benchmark is read from; None for one that is generated.

    Raises:
        RecipeError: There is no such benchmark.
    """
    place = place_of(benchmark)
    if place is None:
        return None
    return Wanted(
        f"The benchmark {benchmark.name}",
        f"evaluation.benchmarks.{benchmark.name}",
        place.path,
        "parquet",
        revision=place.revision,
        config=place.config,
        split=place.split,
    )


def pocket_parameters(source: SourceRecipe, seed: int) -> dict[str, Any]:
    """What a generated source depends on, beside its code."""
    return {
        "generator": source.kind,
        "modality": source.modality,
        "num_problems": source.num_problems,
        "num_planted": source.num_planted,
        "seed": seed,
    }


def benchmark_parameters(benchmark: BenchmarkRecipe) -> dict[str, Any]:
    """What a generated benchmark depends on, beside its code."""
    return {"benchmark": benchmark.name, "num_problems": benchmark.num_problems}


def describe(store: Store, artifact: Artifact) -> str:
    """One line about an input: where it lies, how much it is, and its digest."""
    manifest = store.manifest(artifact)
    digest = f"sha256 {artifact.sha256[:12]}"
    if manifest.place is None:
        return f"{'generated' if artifact.kind == KIND else artifact.uri}, {digest}"
    size = sum(file.size for file in manifest.files) / 2**20
    return f"{manifest.place}, {len(manifest.files)} file(s), {size:.1f} MiB, {digest}"


def table(store: Store, inputs: Inputs) -> str:
    """The inputs as a Markdown table."""
    rows = [f"| {name} | {describe(store, artifact)} |" for name, artifact in inputs.all.items()]
    return "\n".join(["| input | resolved to |", "|---|---|", *rows])


class Resolver:
    """Resolves the inputs of one run.

    Args:
        run: The run that asks.
        tell: Told of each input, and whether an earlier run has resolved it to the same.
        warn: Told what a person should know.

    Attributes:
        remarks: What a reader should know of what was resolved so far.
    """

    def __init__(self, run: Run, tell: Tell, warn: Callable[[str], None]) -> None:
        self._run, self._tell, self._warn = run, tell, warn
        self.remarks: list[str] = []
        self._store = run.store()
        self._commits = _Commits(run.work / "commits.json")

    def benchmarks(self, recipe: Recipe) -> dict[str, Artifact]:
        """References to a recipe's benchmarks, by the names that stages know them by."""
        return {
            one.input_name: self.located(one.input_name, wanted)
            if (wanted := wanted_benchmark(one))
            else self.generated(one.input_name, benchmark_parameters(one))
            for one in recipe.evaluation.benchmarks
        }

    def generated(self, name: str, parameters: Mapping[str, Any]) -> Artifact:
        """A reference to what code makes of parameters."""
        text = json.dumps(parameters, sort_keys=True, indent=2)
        key = name_key(KIND, text)
        found = self._store.find(key)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "parameters.json").write_text(text, encoding="utf-8")
            made = self._run.provenance(name, {})
            artifact = found or self._store.publish(Path(folder), KIND, made, key=key)
        self._tell(name, artifact, found is not None)
        return artifact

    def located(self, name: str, wanted: Wanted) -> Artifact:
        """A reference to what lies in a folder, in a bucket or on a hub."""
        revision = self._commits.find(wanted)
        try:
            listing = list_files(wanted, revision, self._run.settings.home)
        except UnreachableHub as error:
            listing = self._listed_before(wanted, revision, error)
        if remark := unread_remark(wanted, listing):
            self._warn(f"{remark}.")
            self.remarks.append(remark)
        self._commits.note(wanted, listing.place)
        found = listing.state and self._store.find(_key(wanted, listing.place, listing.state))
        artifact, reused = (found, True) if found else self._refer(name, wanted, listing)
        self._tell(name, artifact, reused)
        return artifact

    def _refer(self, name: str, wanted: Wanted, listing: Listing) -> tuple[Artifact, bool]:
        """Reads the files, enters what they are, and says whether that was known before."""
        files = digest_files(wanted, listing, self._run.settings.home)
        key = _key(wanted, listing.place, listing.state or content_digest(files))
        found = self._store.find(key)
        artifact = found or self._store.refer(
            files,
            listing.place,
            KIND,
            self._run.provenance(name, {}),
            key=key,
        )
        return artifact, found is not None

    def _listed_before(self, wanted: Wanted, revision: str, error: UnreachableHub) -> Listing:
        """What an earlier run was told of a whole commit, which never changes.

        Raises:
            UnreachableHub: It is no whole commit, or nobody asked before.
        """
        if not is_commit(revision):
            raise error
        place = HubPlace(
            repo=wanted.path,
            repo_type=repo_type(wanted),
            commit=revision,
            revision=wanted.revision,
        )
        if self._store.find(_key(wanted, place, revision)) is None:
            raise error
        self._warn(f"{error.what} An earlier run has resolved the commit: going on with that.")
        return Listing(place, {}, state=revision)


class _Commits:
    """The commits that a run's branches and tags named when it first asked; kept for a retry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, wanted: Wanted) -> str:
        return self._read().get(_asked(wanted), wanted.revision)

    def note(self, wanted: Wanted, place: Place) -> None:
        if isinstance(place, HubPlace):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            commits = self._read() | {_asked(wanted): place.commit}
            self._path.write_text(json.dumps(commits, indent=2), encoding="utf-8")

    def _read(self) -> dict[str, str]:
        if not self._path.is_file():
            return {}
        commits: dict[str, str] = json.loads(self._path.read_text(encoding="utf-8"))
        return commits


def _asked(wanted: Wanted) -> str:
    return f"{wanted.files} {wanted.path} {wanted.revision}"


def _key(wanted: Wanted, place: Place, state: str) -> str:
    """The key of an input: where it lies, what of it is read, and what state that is in."""
    files = f"{wanted.files} and images" if wanted.images else wanted.files
    what = (wanted.path, wanted.config or "", wanted.split, files)
    return name_key(KIND, str(place), *what, state)
