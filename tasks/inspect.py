"""What a source holds and what curation would do with it, before anybody runs anything.

No model is needed: of curation's steps it takes the rules and the search for equal questions.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from contracts.errors import RecipeError
from contracts.formats import ALL_ROW_SUFFIXES, ROW_SUFFIXES, FileKind
from contracts.texts import one_line
from infra.inputs.folder import sample_folder
from infra.settings import Settings
from tasks.inputs import wanted_source
from training.answers import Verifier
from training.curation import own_rules, traces
from training.curation.equal_questions import drop_duplicates
from training.curation.rows import read_rows
from training.curation.sources import load_source
from training.curation.step import Reject, split
from training.curation.verifiability import keep_verifiable
from training.recipe.curation import DUPLICATES, STEPS, VERIFIABILITY, own_steps
from training.recipe.known_sources import KNOWN_SOURCES
from training.recipe.recipe import Recipe
from training.recipe.sources import SourceRecipe
from training.records import Modality, Problem

NUM_SHOWN, NUM_REFUSED, SHOWN_CHARACTERS = 5, 3, 300
_FIELDS = ("question", "answer", "solution", "family", "level", "reading")


def find_source(name: str, recipe: Recipe | None, modality: Modality | None) -> SourceRecipe:
    """The source that a name stands for.

    Args:
        name: A source of the recipe; without a recipe, a known data set or a path.
        recipe: Whose sources are meant.
        modality: Of a path's problems; None for text.

    Raises:
        RecipeError: There is no such source.
    """
    if recipe is not None:
        found = next((one for one in recipe.sources if one.name == name), None)
        if found is not None:
            return found
        rule = f"the recipe's sources are {[one.name for one in recipe.sources]}"
    elif name in KNOWN_SOURCES:
        return SourceRecipe.model_validate({"name": name, "dataset": name})
    else:
        try:
            is_here = name[0] in "./"
            return SourceRecipe(
                name="inspected",
                kind=_kind(name),
                path=str(Path(name).resolve()) if is_here else name,
                modality=modality or "text",
                image_files=is_here and modality == "multimodal",
            )
        except (ValueError, IndexError):
            rule = f"a source is a path, a hub's `owner/name` or one of {sorted(KNOWN_SOURCES)}"
    raise RecipeError(
        f"There is no source {name[:200]!r}.",
        where="revisual inspect",
        rule=rule,
        fix="correct the name; a file or folder of this machine begins with ./, ../ or /",
    )


def inspect_lines(
    source: SourceRecipe, settings: Settings, num_rows: int, steps: Sequence[str] = STEPS
) -> Iterator[str]:
    """Describes a source by its first rows.

    Args:
        source: What is looked at.
        settings: Where this machine keeps its copies.
        num_rows: So many rows are read, of the first file.
        steps: Curation's, in their order.

    Raises:
        RecipeError: A rule of the user's own cannot be found.
        InputError: It cannot be found, reached or read.
        DataError: A file cannot be read, or a column is missing.
    """
    yield from _heading(source)
    wanted, folder = wanted_source(source), Path()
    if wanted is not None:
        name, folder = sample_folder(wanted, settings.home)
        yield f"first file: {one_line(name)}"
        batch = next(read_rows(source, folder, set()))
        yield f"columns found: {', '.join(map(one_line, batch.columns)) or 'none'}"
        mapped = source.columns or "columns of the same names"
        yield f"mapped: {mapped}; answer rule: {source.answer_rule}"
        for path, values in source.keep.items():
            yield f"taken: rows whose {path} is {' or '.join(map(repr, values))}"
    limit = min(num_rows, source.num_problems or num_rows)
    few = source.model_copy(update={"num_problems": limit, "num_planted": 0})
    loaded = load_source(few, folder, seed=0)
    rows, _ = traces.convert_all(loaded.kept)  # as every step sees them
    rejects = [*loaded.rejects, *_rejects(rows, steps)]
    reasons = {id(one.problem): one for one in rejects}
    for row in rows[:NUM_SHOWN]:
        yield from _row(row, reasons.get(id(row)))
    for reject in loaded.rejects[:NUM_REFUSED]:  # of a wrong mapping it may be all there is to see
        yield from _row(reject.problem, reject)
    num_read = len(loaded.kept) + len(loaded.rejects)
    yield ""
    yield f"Of the first {num_read} rows, {num_read - len(rejects)} would go on to the next steps."
    if loaded.num_system_turns:
        yield f"{loaded.num_system_turns} system turns of conversations are left out."
    if loaded.num_shared_ids:
        yield f"{loaded.num_shared_ids} rows have the id of an earlier one; each gets its own."
    counts = Counter((one.step, one.reason) for one in rejects)
    for (step, reason), count in counts.most_common():
        yield f"{count:8d} rejected, {step}: {reason}"


def _heading(source: SourceRecipe) -> Iterator[str]:
    yield f"source {source.name}: {source.kind}, {source.modality}, {source.path or 'generated'}"
    known = KNOWN_SOURCES.get(source.dataset or "")
    if known:
        state = (
            "as page, card or readers state" if known.checked else "NOT CONFIRMED, in part assumed"
        )
        yield f"known data set {source.dataset} ({known.paper}): {state}"
        yield f"licence: {known.licence or 'not known'}"
        if known.note:
            yield f"note: {known.note}"


def _rejects(rows: list[Problem], steps: Sequence[str]) -> list[Reject]:
    rejects = list[Reject]()
    with Verifier() as verifier:
        for step in steps:
            if step == VERIFIABILITY:
                result = keep_verifiable(rows, verifier)
            elif step == DUPLICATES:
                result = drop_duplicates(rows, verifier)
            elif step in own_steps(steps):
                result = split(rows, [own_rules.reason_for(step, row) for row in rows], step)
            else:
                continue
            rejects, rows = rejects + result.rejects, result.kept
    return rejects


def _row(row: Problem, reject: Reject | None) -> Iterator[str]:
    yield ""
    yield f"row {one_line(row['id'])}" + (f" - rejected: {reject.reason}" if reject else "")
    for field in _FIELDS:
        value = row[field]  # type: ignore[literal-required]  # one of the record's fields
        if value is not None:
            text = one_line(str(value))
            more = "..." if text[SHOWN_CHARACTERS:] else ""
            yield f"  {field}: {text[:SHOWN_CHARACTERS]}{more}"
    if row["images"]:
        sizes = ", ".join(str(len(image["bytes"])) for image in row["images"][:NUM_SHOWN])
        yield f"  images: {len(row['images'])} ({sizes} bytes)"


def _kind(path: str) -> FileKind:
    """The format of a path's files, by their names; Parquet where those do not say."""
    names = [path]
    if Path(path).is_dir():
        names = sorted(str(one) for one in Path(path).iterdir())
    found = next((name for name in names if name.lower().endswith(ALL_ROW_SUFFIXES)), ".parquet")
    return next(kind for kind, ends in ROW_SUFFIXES.items() if found.lower().endswith(ends))
