"""The data sets that the paper names, and those it released: where they lie and how they are read.

`dataset = "geometry3k"` in a recipe's source fills in whatever the source leaves out. A revision is
a commit that was seen with these files, on a page of the hub or in public code that reads the set
at it; without one, a run resolves the branch to a commit, and records it. What could not be
confirmed is marked as unchecked; `revisual inspect` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from training.records import Modality

_ONE_VISION = "lmms-lab/LLaVA-OneVision-Data"
_CONVERTED = "refs/convert/parquet"
_FILLED = ("kind", "modality", "path", "revision", "config", "split", "answer_rule")
_FIRST_TURN: Mapping[str, str | Literal[False]] = MappingProxyType(
    {
        "question": "conversations.0.value",
        "answer": "conversations.1.value",
        "images": "image",
        "id": False,  # of the picture, not of the question
    }
)


@dataclass(frozen=True)
class KnownSource:
    """One data set.

    Attributes:
        paper: Its name in the paper, with the rows that it took.
        path: A hub's id.
        modality: Of its problems.
        licence: As its page states; None where that is not known.
        columns: See `training.recipe.sources.SourceRecipe`; as are the next ones.
        checked: Whether files, configuration and split were seen on its card or page, and columns
            there, on a copy's card or in two public readers of it.
        note: What else was seen where, what is assumed, or what a person should know.
    """

    paper: str
    path: str
    modality: Modality
    licence: str | None
    columns: Mapping[str, str | Literal[False]]
    checked: bool
    note: str = ""
    kind: str = "parquet"
    revision: str | None = None
    config: str | None = None
    split: str | None = None
    answer_rule: str = "whole"
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A source's values, with this set's where a recipe gives none.

        With another path, a copy's for example, a source is at no configuration of the set's hub.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in _FILLED}
        if given.get("path", self.path) != self.path:
            values |= dict.fromkeys(("revision", "config", "split"))
        return {**values, "columns": dict(self.columns), "keep": dict(self.keep), **given}


def _one_vision(paper: str, config: str) -> KnownSource:
    """A part of MathV360K, as LLaVA-OneVision-Data holds it in Parquet."""
    return KnownSource(
        paper=paper,
        path=_ONE_VISION,
        modality="multimodal",
        licence="apache-2.0",
        columns=_FIRST_TURN,
        checked=True,
        note="configuration, split and licence are from the page; the card was seen in parts, and "
        "has the same columns in each, as two public readers of all parts take for granted. That "
        "the first turn is a question with its whole answer behind it is assumed; it has fewer "
        "rows than the paper took, and the original's licence may differ",
        config=config,
    )


KNOWN_SOURCES: Mapping[str, KnownSource] = MappingProxyType(
    {
        "figureqa": _one_vision("FigureQA, 100K", "FigureQA(MathV360K)"),
        "super-clevr": _one_vision("Super-CLEVR, 30K", "Super-CLEVR(MathV360K)"),
        "tabmwp": _one_vision("TabMWP, 38K", "TabMWP(MathV360K)"),
        "geoqa": _one_vision("GeoQA, 5K", "GeoQA+(MathV360K)"),
        "unigeo": _one_vision("UniGeo, 16K", "UniGeo(MathV360K)"),
        "iconqa": _one_vision("IconQA, 107K", "IconQA(MathV360K)"),
        "mavis": KnownSource(
            paper="MAVIS, 218K",
            path="CaraJ/MAVIS-Geometry",
            modality="multimodal",
            licence=None,
            columns={
                "question": "text_en.text_dominant_question",
                "options": "choices",
                "answer": "answer_index",
                "images": "image_text_dominant",
            },
            checked=True,
            note="a sample of 800 rows; the whole set is a zip file, which is not read. That the "
            "index counts from 0 is what one public reader of it takes for granted",
            revision="131b596d461503bc0622dda2ff3897a6062a82dd",
            config="visualization",
            split="visualization",
            answer_rule="index",
        ),
        "geometry3k": KnownSource(
            paper="Geometry3K, 2.1K",
            path="hiyouga/geometry3k",
            modality="multimodal",
            licence="mit",
            columns={"question": "problem", "answer": "answer", "images": "images"},
            checked=True,
        ),
        "multimath": KnownSource(
            paper="MultiMath, 300K",
            path="pengshuai-rin/multimath-300k",
            modality="multimodal",
            licence=None,
            columns={"question": "question", "answer": "answer", "images": "image"},
            checked=False,
            note="its page lists JSON arrays and a zip of images, none of which is read: convert "
            "them, and give the copy as `path`; the columns are assumed. It has no card",
        ),
        "big-math": KnownSource(
            paper="Big-Math-RL, 251K",
            path="SynthLabsAI/Big-Math-RL-Verified",
            modality="text",
            licence="apache-2.0",
            columns={"question": "problem", "answer": "answer"},
            checked=True,
            note="its solve rates are another model's, so they are not read",
            revision="c75d2f117cddfecb6bd08756e61e508e59732b21",
        ),
        "big-math-unverified": KnownSource(
            paper="Big-Math-RL-U, 35K",
            path="SynthLabsAI/Big-Math-RL-UNVERIFIED",
            modality="text",
            licence=None,
            columns={"question": "problem", "answer": "answer"},
            checked=False,
            note="the id and 34.9K rows are from its owner's page; the columns are assumed, and "
            "its answers are not verified",
        ),
        "limo": KnownSource(
            paper="LIMO, 0.8K",
            path="GAIR/LIMO",
            modality="text",
            licence="apache-2.0",
            columns={"question": "question", "answer": "answer", "solution": "solution"},
            checked=True,
            note="limo.jsonl, the split and the licence are from the page, the columns from two "
            "public readers of it and from the card of a set that was made of it",
            kind="jsonl",
        ),
        "s1k": KnownSource(
            paper="s1K-1.1, 1K",
            path="simplescaling/s1K-1.1",
            modality="text",
            licence="mit",
            columns={
                "question": "question",
                "thoughts": "deepseek_thinking_trajectory",
                "solution": "deepseek_attempt",
            },
            checked=True,
            note="files and licence are from the page, split and columns from the cards of copies; "
            "the answer is the one that the attempt ends in. Only attempts are read that a model "
            "graded `Yes` beside the set's own solution: 630 of 1,000, as the authors' grading "
            "notebook counts",
            revision="96c411f1fe4c49d20f0e2a1565f61e1a28b0b84d",
            answer_rule="last_boxed",
            keep={"deepseek_grade": ("Yes",)},
        ),
        "openthoughts": KnownSource(
            paper="OpenThoughts, 114K",
            path="open-thoughts/OpenThoughts-114k",
            modality="text",
            licence="apache-2.0",
            columns={
                "question": "problem",
                "thoughts": "deepseek_reasoning",
                "solution": "deepseek_solution",
                "answer": "ground_truth_solution",
                "family": "domain",
            },
            checked=True,
            note="from a copy of its card; that its solutions in mathematics end in a box is "
            "assumed; code has no box, and is rejected",
            config="metadata",
            answer_rule="last_boxed",
        ),
        "openmathreasoning": KnownSource(
            paper="OpenMathReasoning, 3,200K",
            path="nvidia/OpenMathReasoning",
            modality="text",
            licence="cc-by-4.0",
            columns={
                "question": "problem",
                "answer": "expected_answer",
                "solution": "generated_solution",
            },
            checked=True,
            note="a problem without an answer of its own has the one that most of its solutions "
            "end in",
            revision="d3d08664755704f422af97d43a7ff0ded4bd95df",
            split="cot",
        ),
        "deepmath": KnownSource(
            paper="DeepMath, 103K",
            path="zwhe99/DeepMath-103K",
            modality="text",
            licence="mit",
            columns={"question": "question", "answer": "final_answer", "solution": "r1_solution_1"},
            checked=True,
            revision="5cf055d1fe3d7a2eb19719ac020211469736ae44",
        ),
        "orca-math": KnownSource(
            paper="Orca-Math, 200K",
            path="microsoft/orca-math-word-problems-200k",
            modality="text",
            licence="mit",
            columns={"question": "question", "answer": "answer"},
            checked=True,
            note="its answers are whole solutions in prose, most of which no rule can verify: "
            "big-math holds 83K of these questions with an answer",
            revision="29255d1770cc4eac66e5e7fa378cba542c026350",
        ),
        "openr1": KnownSource(
            paper="OpenR1-220k, 220K",
            path="open-r1/OpenR1-Math-220k",
            modality="text",
            licence="apache-2.0",
            columns={"question": "problem", "answer": "answer", "solution": "generations.0"},
            checked=True,
            note="the page lists the files, and a copy of the card that belongs to them has split "
            "and columns; the commit before calls the splits of this configuration `default` and "
            "`extended`. The first generation need not be right: curation rejects those that are "
            "not",
            revision="e4e141ec9dea9f8326f4d347be56105859b2bd68",
            config="all",
        ),
        "numinamath": KnownSource(
            paper="NuminaMath-CoT, 859K",
            path="AI-MO/NuminaMath-CoT",
            modality="text",
            licence="apache-2.0",
            columns={"question": "problem", "solution": "solution", "family": "source"},
            checked=True,
            note="the licence was cc-by-nc-4.0 on older cards",
            revision="9d8d210c9f6a36c8f3cd84045668c9b7800ef517",
            answer_rule="last_boxed",
        ),
        "grammar-cold-start": KnownSource(
            paper="released, cold start, 47.3K",
            path="csfufu/Grammer_dataset",
            modality="text",
            licence=None,
            columns={"question": "problem", "answer": "answer", "solution": "solution"},
            checked=False,
            note="its page lists one JSON file, so the hub's conversion is read; the columns are "
            "assumed",
            revision=_CONVERTED,
        ),
        "mmrl": KnownSource(
            paper="released, multimodal RL, 30.9K",
            path="csfufu/mmrl",
            modality="multimodal",
            licence=None,
            columns={
                "question": "problem",
                "answer": "answer",
                "images": "images",
                "pass_rate": False,
            },
            checked=False,
            note="files, split and columns are what two public readers of it take for granted; of "
            "which model its pass rates are is not known, so they are not read",
        ),
        "textrl": KnownSource(
            paper="released, text RL, 32.5K",
            path="csfufu/textrl",
            modality="text",
            licence=None,
            columns={"question": "problem", "answer": "answer", "pass_rate": False},
            checked=False,
            note="one Parquet file, as its page lists; the columns are assumed: those that the "
            "authors' training configuration names",
        ),
    }
)


def known_source(name: str) -> KnownSource:
    """A data set by its name here.

    Raises:
        ValueError: There is none; the text is the rule.
    """
    if name not in KNOWN_SOURCES:
        raise ValueError(f"dataset {name!r} is none of {sorted(KNOWN_SOURCES)}")
    return KNOWN_SOURCES[name]
