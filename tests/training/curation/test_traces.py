import pytest

from training.curation import traces
from training.curation.selection import select
from training.recipe.curation import TracesRecipe
from training.recipe.recipe import SetRecipe

SOUND = "<think>Two and two are four.</think>\\boxed{4}"


def count_words(text):
    return len(text.split())


def fault_of(trace, question="What is 2 + 2?", **bounds):
    written = [(question, trace), (question, None)]
    fault, nothing = traces.faults(written, TracesRecipe(**bounds), count_words)
    assert nothing is None
    return fault


@pytest.mark.parametrize(
    ("trace", "written", "rule"),
    [
        ("So it is\n#### 7\n", "So it is\n\\boxed{7}", "####"),
        ("So <answer> 1/2 </answer>.", "So \\boxed{1/2}.", "<answer> tags"),
        ("<answer>\\frac{1}{2}\n</answer>", "\\boxed{\\frac{1}{2}}", "<answer> tags"),
        (SOUND, SOUND, None),
        ("<Answer>4</Answer>", "\\boxed{4}", "<answer> tags"),
        ("<answer>\\boxed{4}</answer>", "\\boxed{4}", "<answer> tags"),
        ("<answer>It is \\boxed{4}.</answer>", "It is \\boxed{4}.", "<answer> tags"),
        (
            "\\boxed{4}</think>\n<answer>4</answer>",
            "\\boxed{4}</think>\n\\boxed{4}",
            "<answer> tags",
        ),
        ("It is \\boxed{4}.\n#### 4\n", "It is \\boxed{4}.\n\\boxed{4}", "####"),
        ("\\boxed{4} <answer>5</answer>",) * 2 + (None,),
        ("\\boxed{4} <answer>\\boxed{5}</answer>",) * 2 + (None,),
        ("\\boxed{4}\n#### 5",) * 2 + (None,),
        # Beside a box with the same answer a second one would be another: the mark goes.
        ("So \\boxed{7}.\n#### 7 apples", "So \\boxed{7}.", "####"),
        ("\\boxed{1/2} <answer>0.5</answer>.", "\\boxed{1/2}.", "<answer> tags"),
        ("\\boxed{5,000}\n#### 5000", "\\boxed{5,000}", "####"),
        ("\\boxed{2\\sqrt{2}}\n#### \\sqrt{8}", "\\boxed{2\\sqrt{2}}", "####"),
        ("\\boxed{\\text{seven}}\n#### seven", "\\boxed{\\text{seven}}", "####"),
        ("\\boxed{7\\%}\n#### 7%", "\\boxed{7\\%}", "####"),
        ("\\boxed{x=7}</think>\n#### 7", "\\boxed{x=7}</think>\n\\boxed{7}", "####"),
        ("<answer>7\n</answer>\n#### 7", "\\boxed{7}\n\\boxed{7}", "<answer> tags"),
        ("<think>a</think><answer>The result is 7.</answer>",) * 2 + (None,),
        ("#### We need twelve square meters",) * 2 + (None,),
        ("<answer>12 square meters</answer>", "\\boxed{12 square meters}", "<answer> tags"),
        ("In <answer> tags: <answer>4</answer>",) * 2 + (None,),
        ("<answer>4</answer> or <answer>5</answer>",) * 2 + (None,),
        ("<answer> </answer>",) * 2 + (None,),
        ("</answer>4<answer>",) * 2 + (None,),
        ("#### 7\nand so on", "#### 7\nand so on", None),
        ("#### 7}",) * 2 + (None,),
        ("<answer>a}{b</answer>",) * 2 + (None,),
        ("#### \\{1, 2\\}", "\\boxed{\\{1, 2\\}}", "####"),
        (None, None, None),
    ],
)
def test_only_one_final_answer_is_put_into_a_box(trace, written, rule, make):
    problem, found = traces.convert(make(1, solution=trace))
    assert (problem["solution"], found) == (written, rule)


def test_conversions_are_counted_by_rule(make):
    rows = [make(n, solution=text) for n, text in enumerate(["#### 1", SOUND, "a\n#### 2"])]
    problems, counts = traces.convert_all(rows)
    assert [row["solution"] for row in problems] == ["\\boxed{1}", SOUND, "a\n\\boxed{2}"]
    assert counts == {"####": 2}


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        ("\\boxed{4} <answer>5</answer>", "trace that keeps its <answer> tags"),
        ("<answer>4</answer> or <answer>5</answer>", "trace that keeps its <answer> tags"),
        ("So \\boxed{4}. <answer>", "trace that keeps its <answer> tags"),
        ("\\boxed{4}\n#### 5", "trace that keeps its ####"),
        ("\\boxed{4}\n#### It is \\boxed{5}", "trace that keeps its ####"),
        ("<answer>4</answer>\n#### 5", "trace that keeps its ####"),
        ("<answer>The result is 4.</answer>", "trace that keeps its <answer> tags"),
        ("#### The result is 4.", "trace without a boxed answer"),
    ],
)
def test_a_trace_of_several_final_answers_is_refused_by_name(trace, fault, make):
    problem, _ = traces.convert(make(1, solution=trace))
    assert fault_of(problem["solution"]) == fault


@pytest.mark.parametrize("said", ["Answer: 7", "7 apples", "The answer is 7."])
def test_words_around_the_answer_behind_the_hashes_are_no_other_answer(said, make):
    problem, _ = traces.convert(make(1, solution=f"\\boxed{{7}}\n#### {said}"))
    assert fault_of(problem["solution"]) is None


@pytest.mark.parametrize(
    ("trace", "bounds", "fault"),
    [
        (SOUND, {}, None),
        ("Two and two are four.", {}, "trace without a boxed answer"),
        (SOUND, {"min_tokens": 6}, "trace too short"),
        (SOUND, {"max_tokens": 4}, "trace too long"),
        (SOUND, {"min_tokens": 5, "max_tokens": 5}, None),
        ("We see. " + "wait let me check " * 15 + "\\boxed{4}", {}, "trace that ends in a loop"),
        ("We see. " + "wait let me check " * 14 + "\\boxed{4}", {"max_repeated": 1.0}, None),
        ("两 и два это четыре, so \\boxed{4}", {}, "trace in mixed scripts"),
        ("α + β = γ, so \\boxed{4}", {}, None),
        (
            "因此答案是七。" * 800 + "\\boxed{7}",
            {"max_other_script": 1.0},
            "trace that ends in a loop",
        ),
        ("7" * 20_000 + " $\\boxed{7}$", {}, "trace that ends in a loop"),
        ("abc" * 200 + ", " + "so it is 4 now, " * 10 + SOUND, {}, "trace that repeats itself"),
        (f"10^60 = 1{'0' * 60}, so \\boxed{{4}}", {}, None),
    ],
)
def test_each_fault_has_its_reason(trace, bounds, fault):
    assert fault_of(trace, **bounds) == fault


def test_letters_of_full_width_and_of_formulas_are_latin():
    assert traces.other_script_share("What is x?", "ｘ ａ ｂ １ ª ℝ 𝑥") == 0.0


ENGLISH = "We have two apples and there are two more, so the sum of both is what we need: "
FRENCH = "Nous avons deux pommes et il y en a deux de plus, donc la somme est dans le panier: "
SPANISH = "Tenemos dos manzanas y hay dos más, entonces la suma es lo que se pide por el total: "
FORMULAS = " ".join(rf"Let $\de_{n} \le \des_{n} \par_{n}$ on die {n}." for n in range(20))


@pytest.mark.parametrize(
    ("question", "trace", "is_other"),
    [
        ("What is 2 + 2?", FRENCH * 2, True),
        ("Combien font deux et deux, et pour qui est la somme?", ENGLISH * 2, True),
        ("Combien font deux et deux, et pour qui est la somme?", FRENCH * 2, False),
        ("Wie viele sind es?", SPANISH * 2, True),
        ("What is 2 + 2?", ENGLISH * 2, False),
        ("2 + 2 = ?", FRENCH * 2, False),  # in no language
        ("What is 2 + 2?", ENGLISH + FRENCH, False),  # in two
        ("What is 2 + 2?", FRENCH[:40], False),  # too short to tell
        ("What is the sum?", FORMULAS, False),
    ],
)
def test_a_trace_in_another_language_is_told_where_both_are_known(question, trace, is_other):
    fault = fault_of(trace + " \\boxed{4}", question=question, max_repeated=1.0)
    assert fault == ("trace in another language than the question" if is_other else None)


@pytest.mark.parametrize(
    "question",
    [
        "Tom drives 800 miles from Los Angeles to El Paso in 16 hours. Find his average speed.",
        "A die is rolled at MIT. Find P(6).",
        "Convert 3 AU to SI units.",
        "Les shot 3 over par. Find his score.",
        "Da and Ao run 5 km; find Da's time.",
        "Den and Von share $20 equally. Find Von's part.",
    ],
)
def test_names_and_abbreviations_are_of_no_language(question):
    assert fault_of(ENGLISH * 2 + " \\boxed{4}", question=question, max_repeated=1.0) is None


def test_the_script_of_the_question_is_no_fault():
    assert fault_of("Два и два это четыре. \\boxed{4}", question="Сколько будет 2 + 2?") is None


def test_repeated_runs_are_counted_by_hand():
    block = " ".join(f"w{n}" for n in range(30))
    # 60 words have 41 runs of 20: the last 11 lie in the second block whole, as in the first.
    assert traces.repeated_share(f"{block} {block}") == pytest.approx(11 / 41)
    assert traces.repeated_share(block) == 0.0
    assert traces.repeated_share("three words only") == 0.0


def test_a_fault_costs_the_place_in_sets_that_need_a_trace_and_no_other(make, outlines_of):
    rows = outlines_of([make(n, solution=SOUND, level=3, pass_rate=0.5) for n in range(3)])
    cold = SetRecipe(name="cold", modality="text", num_problems=3, needs_solution=True)
    rest = SetRecipe(name="rest", modality="text", num_problems=3)
    faults = [None, "trace that ends in a loop", None]
    chosen = select(rows, [cold, rest], 0, faults)
    assert chosen.sets["cold"].tolist() == [0, 2]
    assert chosen.sets["rest"].tolist() == [1]
    one_set = select(rows, [cold], 0, faults)
    assert one_set.left.tolist() == [1]
    assert one_set.reasons == ["trace that ends in a loop"]
