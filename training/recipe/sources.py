"""One source of problems: where its rows lie, and which of their columns fill a record."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from contracts.formats import FileKind
from training.recipe.bounds import Name, PathText, Problems, Revision, Strict
from training.recipe.known_sources import known_source
from training.recipe.places import check_place
from training.records import OPTIONAL_FIELDS, Modality

# A column, or the way to a value inside it: `reward_model.ground_truth`, `messages.0.content`.
ColumnPath = Annotated[str, Field(min_length=1, max_length=1024)]
PLANTABLE = 100  # of a pocket benchmark's first problems, those that may be planted as leaks
SeveralColumns = Annotated[tuple[ColumnPath, ...], Field(min_length=1)]
AnswerRule: TypeAlias = Literal["whole", "after_hashes", "last_boxed", "index"]
# Of a column; `true` is neither 1 nor "true".
KeptValue: TypeAlias = StrictStr | StrictBool | Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]


class SourceRecipe(Strict):
    """One source of problems, mapped to the record schema.

    `pocket` problems are generated; files are read in batches, with `columns` mapping a record's
    field to the file's column. `path` is a file, a folder, a pattern or a hub's id, as a model's
    is; of a hub's data set, one configuration's split is read. docs/inputs.md says what is mapped
    how. `dataset` names one of `training.recipe.known_sources`, which fills in what is left out.
    """

    name: Name
    dataset: Name | None = None
    # Rows generated here, or in Parquet, JSON Lines or CSV files, or a `datasets` folder's Arrow.
    kind: Literal["pocket"] | FileKind
    modality: Modality
    num_problems: Problems | None = None
    # Of a pocket source: rows of each fault that curation must find, behind the problems.
    num_planted: Annotated[int, Field(ge=0, le=1000)] = 0
    path: PathText | None = None
    revision: Revision | None = None  # branch, tag or commit of a hub's data set; None is `main`
    config: Revision | None = None  # None is the data set's default
    split: Revision | None = None  # None is `train`
    # Of a field that a row may lack, `false` says that its column is not read.
    columns: dict[str, ColumnPath | SeveralColumns | Literal[False]] = Field(default_factory=dict)
    # How the reference answer stands in its column; without one, in the solution.
    answer_rule: AnswerRule = "whole"
    # Column -> the values with which a row is taken; every other row is a reject.
    keep: dict[ColumnPath, Annotated[tuple[KeptValue, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    # Whether the files of images that rows name by path are read, too; they lie beside the rows.
    image_files: bool = False

    @property
    def input_name(self) -> str:
        """The name by which a stage knows its files."""
        return f"source:{self.name}"

    @model_validator(mode="before")
    @classmethod
    def _known_sources_fill_in(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a recipe holds
        if isinstance(given, dict) and isinstance(name := given.get("dataset"), str):
            return known_source(name).filled(given)
        return given

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> "SourceRecipe":
        if self.kind != "pocket" and self.path is None:
            raise ValueError(f"a {self.kind} source needs `path`")
        if self.path is not None:
            check_place(self.path, revision=self.revision, config=self.config, split=self.split)
        read = (self.path, self.revision, self.config, self.split)
        mapped = self.columns or self.answer_rule != "whole" or self.keep or self.image_files
        if self.kind == "pocket" and (any(read) or mapped):
            raise ValueError("a pocket source is generated: it takes neither `path` nor `columns`")
        if self.kind == "pocket" and self.num_problems is None:
            raise ValueError("a pocket source needs `num_problems`")
        if self.kind != "pocket" and self.num_planted:
            raise ValueError("`num_planted` belongs to pocket sources, which are generated")
        return self

    @model_validator(mode="after")
    def _only_options_are_several_columns(self) -> "SourceRecipe":
        several = [field for field, path in self.columns.items() if isinstance(path, tuple)]
        if odd := sorted(set(several) - {"options"}):
            raise ValueError(f"columns: {odd} take one column each; only `options` takes a list")
        return self

    @model_validator(mode="after")
    def _only_what_a_row_may_lack_is_left_unread(self) -> "SourceRecipe":
        unread = {field for field, path in self.columns.items() if path is False}
        if odd := sorted(unread - set(OPTIONAL_FIELDS)):
            raise ValueError(f"columns: {odd} cannot be false; {list(OPTIONAL_FIELDS)} can")
        if "thoughts" in self.columns and "solution" in unread:
            raise ValueError("columns: `thoughts` stand before a solution, which is false here")
        return self
