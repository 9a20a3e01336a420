"""Near duplicates that are left in curated sets, and problems that only look like some."""

import io

import pytest
from PIL import Image

from data_checks.gate import GateError, check_curation
from training.recipe.recipe import parse_recipe


@pytest.fixture
def strict(recipe_values):
    recipe_values["gates"]["curation"]["max_near_duplicates"] = 0.0
    return parse_recipe(recipe_values, where="test")


STORY = "A baker fills {} trays with {} rolls each. How many rolls does the baker have for noon?"


def test_planted_near_duplicates_fail_and_number_variants_do_not(
    recipe_values, strict, sound_sets, write_curated
):
    """Over both sets: two edits of one story with its answer, three variants, another answer."""
    cold, seeing = sound_sets["cold"], sound_sets["seeing"]
    stories = [STORY.format(5, 12), STORY.format(5, 13), STORY.format(7, 12), STORY.format(12, 5)]
    for row, story, answer in zip(cold, stories, ("60", "65", "84", "60"), strict=False):
        row |= {"question": story, "answer": answer}
    cold[4] |= {"question": STORY.format(5, 12).replace("baker", "bakker"), "answer": "61"}
    assert check_curation(strict, write_curated(sound_sets)).record.passed
    cold[5] |= {"question": STORY.format(5, 12).replace("rolls", "rols", 1), "answer": "60.0"}
    cold[6] |= {"question": STORY.format(5, 12).replace("A baker", "The baker"), "answer": "60"}
    seeing[2] |= {"question": STORY.format(5, 12)}  # it shows a picture
    folder = write_curated(sound_sets)
    with pytest.raises(GateError) as caught:
        check_curation(strict, folder)
    assert caught.value.broken_rows == {"all sets: near duplicates": ["cold/5", "cold/6"]}
    assert [row["near_duplicate_of"] for row in caught.value.checked.rows] == ["cold/0"] * 2
    recipe_values["gates"]["curation"]["max_near_duplicates"] = 1 / 7  # two of fourteen
    assert check_curation(parse_recipe(recipe_values, where="test"), folder).record.passed


def test_near_questions_about_the_same_pixels_fail_however_they_are_encoded(
    strict, sound_sets, write_curated
):
    recoded = io.BytesIO()
    first, second, third = sound_sets["seeing"][:3]
    Image.open(io.BytesIO(first["images"][0]["bytes"])).save(recoded, "WEBP", lossless=True)
    for row, question in ((first, "How many?"), (second, "how many"), (third, "HOW MANY?")):
        row |= {"question": question, "answer": "4"}
    third["images"] = [{"bytes": recoded.getvalue(), "path": None}]
    with pytest.raises(GateError) as caught:
        check_curation(strict, write_curated(sound_sets))
    assert caught.value.broken_rows == {"all sets: near duplicates": ["seeing/2"]}
