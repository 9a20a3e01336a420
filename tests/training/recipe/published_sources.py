"""A row of each known data set in the columns in which it was published; the content is ours.

The columns are written down from cards, their copies and public readers (docs/inputs.md), not from
the table: a mapping to a wrong column reads one of the decoys here.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from PIL import Image

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
TEXTS, FLAGS = pa.list_(TEXT), pa.list_(pa.bool_())
IMAGE = pa.struct({"bytes": pa.binary(), "path": TEXT})  # as `datasets` writes a picture
TURNS = pa.list_(pa.struct({"from": TEXT, "value": TEXT}))
CHAT = pa.list_(pa.struct({"content": TEXT, "role": TEXT}))
DECOY = r"Not this one: \boxed{9}"
THOUGHTS = r"Maybe \boxed{5}? No, two and two are four."
TRACE = f"<think>\n{THOUGHTS}\n</think>\n\nIt is \\boxed{{4}}."


def png(shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), (shade, shade, shade)).save(buffer, format="PNG")
    return buffer.getvalue()


PNG = png()
PICTURE = {"bytes": PNG, "path": "figures/1.png"}
OTHER_PICTURE = {"bytes": png(9), "path": "figures/9.png"}
DECOY_CHAT = [{"content": DECOY, "role": "user"}, {"content": DECOY, "role": "assistant"}]


@dataclass(frozen=True)
class Published:
    """One row: its columns with their types and values, and what curation has to read from it."""

    columns: Mapping[str, tuple[pa.DataType, object]]
    question: str = "2 + 2?"
    answer: str = "4"
    solution: str | None = None
    family: str | None = None  # None: of no column
    images: tuple[bytes, ...] = ()

    def table(self) -> pa.Table:
        """The row as a file has it."""
        schema = pa.schema({name: kind for name, (kind, _) in self.columns.items()})
        return pa.Table.from_pylist([{n: v for n, (_, v) in self.columns.items()}], schema=schema)


def _texts(*names: str) -> dict[str, tuple[pa.DataType, object]]:
    """Columns of texts that no source reads."""
    return dict.fromkeys(names, (TEXT, DECOY))


_ONE_VISION = Published(
    {
        "id": (TEXT, "000123"),
        "image": (IMAGE, PICTURE),
        "conversations": (
            TURNS,
            [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": "4"}],
        ),
        **_texts("data_source"),
    },
    question="How many?",
    images=(PNG,),
)
_QUESTIONS = ("text_lite_question", "vision_dominant_question", "CoT_reasoning")

SEEN: Mapping[str, Published] = {
    **dict.fromkeys(
        ("figureqa", "super-clevr", "tabmwp", "geoqa", "unigeo", "iconqa"), _ONE_VISION
    ),
    "mavis": Published(
        {
            "image_text_dominant": (IMAGE, PICTURE),
            "image_text_lite": (IMAGE, OTHER_PICTURE),
            "image_vision_dominant": (IMAGE, OTHER_PICTURE),
            "answer_index": (WHOLE, 1),
            "choices": (TEXTS, ["3", "4"]),
            "text_en": (
                pa.struct(dict.fromkeys(("text_dominant_question", *_QUESTIONS), TEXT)),
                {"text_dominant_question": "How many?", **dict.fromkeys(_QUESTIONS, DECOY)},
            ),
        },
        question="How many?\n(A) 3\n(B) 4",
        answer="B",
        images=(PNG,),
    ),
    "geometry3k": Published(
        {
            "images": (pa.list_(IMAGE), [PICTURE]),
            "problem": (TEXT, "<image>How many?"),
            "answer": (TEXT, "4"),
            "id": (WHOLE, 7),
            "choices": (TEXTS, ["3", "9"]),
            "ground_truth": (TEXT, "B"),
        },
        question="How many?",
        images=(PNG,),
    ),
    "big-math": Published(
        {
            "problem": (TEXT, "2 + 2?"),
            "answer": (TEXT, "4"),
            **_texts("source"),
            "domain": (TEXTS, [DECOY]),
            "llama8b_solve_rate": (REAL, 0.5),
        }
    ),
    "limo": Published(
        {
            "question": (TEXT, "2 + 2?"),
            "solution": (TEXT, r"It is \boxed{4}."),
            "answer": (TEXT, "4"),
        },
        solution=r"It is \boxed{4}.",
    ),
    "s1k": Published(
        {
            "question": (TEXT, "2 + 2?"),
            "deepseek_attempt": (TEXT, r"It is \boxed{4}."),
            **_texts("solution", "cot_type", "source_type", "metadata"),
            **_texts("gemini_thinking_trajectory", "gemini_attempt", "gemini_grade"),
            **_texts("gemini_grade_reason"),
            "deepseek_thinking_trajectory": (TEXT, THOUGHTS),
            "deepseek_grade": (TEXT, "Yes"),
            **_texts("deepseek_grade_reason"),
        },
        solution=TRACE,
    ),
    "openthoughts": Published(
        {
            "problem": (TEXT, "2 + 2?"),
            "deepseek_solution": (TEXT, r"It is \boxed{4}."),
            "ground_truth_solution": (TEXT, r"$2 + 2 = \boxed{4}$"),
            "domain": (TEXT, "math"),
            "deepseek_reasoning": (TEXT, THOUGHTS),
            **_texts("source", "test_cases", "starter_code"),
        },
        solution=TRACE,
        family="math",
    ),
    "openmathreasoning": Published(
        {
            "expected_answer": (TEXT, "4"),
            "problem": (TEXT, "2 + 2?"),
            "generated_solution": (TEXT, r"It is \boxed{4}."),
            "pass_rate_72b_tir": (TEXT, "n/a"),
            "used_in_kaggle": (pa.bool_(), True),
            **_texts("problem_type", "problem_source", "generation_model", "inference_mode"),
        },
        solution=r"It is \boxed{4}.",
    ),
    "deepmath": Published(
        {
            "question": (TEXT, "2 + 2?"),
            "final_answer": (TEXT, "4"),
            "difficulty": (REAL, 1.0),
            "r1_solution_1": (TEXT, r"It is \boxed{4}."),
            **_texts("topic", "r1_solution_2", "r1_solution_3"),
        },
        solution=r"It is \boxed{4}.",
    ),
    "orca-math": Published({"question": (TEXT, "2 + 2?"), "answer": (TEXT, "4")}),
    "openr1": Published(
        {
            "problem": (TEXT, "2 + 2?"),
            "answer": (TEXT, "4"),
            "generations": (TEXTS, [r"It is \boxed{4}.", DECOY]),
            **_texts("solution", "problem_type", "question_type", "source", "uuid"),
            "is_reasoning_complete": (FLAGS, [True, True]),
            "correctness_math_verify": (FLAGS, [True, False]),
            "correctness_llama": (FLAGS, None),
            "finish_reasons": (TEXTS, None),
            "correctness_count": (WHOLE, 1),
            "messages": (CHAT, DECOY_CHAT),
        },
        solution=r"It is \boxed{4}.",
    ),
    "numinamath": Published(
        {
            "source": (TEXT, "forum"),
            "problem": (TEXT, "2 + 2?"),
            "solution": (TEXT, r"It is \boxed{4}."),
            "messages": (CHAT, DECOY_CHAT),
        },
        solution=r"It is \boxed{4}.",
        family="forum",
    ),
    "mmrl": Published(
        {
            "problem": (TEXT, "<image>How many?"),
            "answer": (TEXT, "4"),
            "images": (pa.list_(IMAGE), [PICTURE]),
            "pass_rate": (REAL, 62.5),
            "difficulty_score": (REAL, 3.0),
            "extracted_answers": (TEXTS, [DECOY]),
            **_texts("dataset"),
        },
        question="How many?",
        images=(PNG,),
    ),
}

# Of these nobody saw the columns: what the table assumes, so that it can be tried at all.
ASSUMED: Mapping[str, Published] = {
    "multimath": Published(
        {"question": (TEXT, "How many?"), "answer": (TEXT, "4"), "image": (IMAGE, PICTURE)},
        question="How many?",
        images=(PNG,),
    ),
    "big-math-unverified": Published({"problem": (TEXT, "2 + 2?"), "answer": (TEXT, "4")}),
    "grammar-cold-start": Published(
        {
            "problem": (TEXT, "2 + 2?"),
            "answer": (TEXT, "4"),
            "solution": (TEXT, r"It is \boxed{4}."),
        },
        solution=r"It is \boxed{4}.",
    ),
    "textrl": Published({"problem": (TEXT, "2 + 2?"), "answer": (TEXT, "4")}),
}
