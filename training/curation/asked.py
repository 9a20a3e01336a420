"""A question, of a benchmark or a row, as decontamination compares it: text, pictures, answer."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from training.answers.normal import normalize
from training.answers.options import letter_of
from training.curation.agreement import agree_by_rule, meant
from training.curation.duplicates import pixels_digest
from training.curation.figures import without_figures
from training.curation.looks import Look, look_alike, look_of
from training.curation.shingles import jaccard, shingles
from training.curation.stems import Stem, stem_of
from training.curation.wording import Wording, holds, is_number, read
from training.records import Problem

# Least Jaccard similarity of 5-character shingles: beside the picture, and instead of it.
SIMILAR_BESIDE_A_PICTURE, SIMILAR = 0.5, 0.8
TELLING_NUMBERS = 2  # by which a text is known without its picture
# Of a row without the picture: a prompt may have "e.g., 1, 2, 3", and a table has more.
MAX_OWN_NUMBERS = 4


@dataclass(frozen=True)
class Asked:
    """A question, of a benchmark or a row, as it is compared."""

    problem: Problem

    @cached_property
    def wording(self) -> Wording:
        """The question's words."""
        return read(self.problem["question"])

    @cached_property
    def stem(self) -> Stem:
        """The question without choices at its end."""
        return stem_of(self.problem["question"], self.wording)

    @cached_property
    def bare(self) -> Stem | None:
        """The stem without the code of figures; None where the question has no such code."""
        text = without_figures(self.problem["question"])
        return None if text == self.problem["question"] else stem_of(text, read(text))

    @cached_property
    def answer(self) -> str:
        """The reference; the text of a choice, where the question has it."""
        return meant(self.problem["answer"], self.problem["question"])

    @cached_property
    def masked(self) -> tuple[str, ...]:
        """The same with one sign for every number."""
        return tuple("#" if is_number(token) else token for token in self.wording.tokens)

    @cached_property
    def pixels(self) -> bytes:
        """What equal pictures share."""
        return pixels_digest(self.problem["images"])

    @cached_property
    def looks(self) -> list[Look]:
        """What pictures that look alike share."""
        return [look_of(image) for image in self.problem["images"]]

    def shows(self, other: "Asked") -> bool:
        """Whether it has the other's pictures; of a question without any, it may have some."""
        theirs, mine = other.problem["images"], self.problem["images"]
        return not theirs or (len(theirs) == len(mine) and other.pixels == self.pixels)

    def may_leak(self, other: "Asked") -> bool:
        """Whether, beside much the same text, what it shows, or lacks, makes it the other.

        Pictures that were encoded or scaled anew look alike, as do charts of one kind: so the
        answer must be the same.
        """
        if self.shows(other):
            return True
        if self.problem["images"]:
            return look_alike(self.looks, other.looks) and self._may_have_answer_of(other)
        return self._may_lack_pictures_of(other)

    def _may_lack_pictures_of(self, other: "Asked") -> bool:
        """Whether it is the other one without its pictures, beside much the same text.

        Where a figure is drawn by code, or was lost, a long text is known by its numbers, or else
        by its answer: "What is the area of the figure shown?" is many problems. A heading, points
        or a short hint have a few numbers of their own. A table has more, and needs no picture: a
        text that tells little else is that of a template, which stands before other tables.
        """
        asked, told = ((one.bare or one.stem).wording for one in (other, self))
        if not asked.is_long:
            return False
        is_telling = len(asked.numbers) >= TELLING_NUMBERS
        num_own = (Counter(told.numbers) - Counter(asked.numbers)).total()
        if is_telling and not num_own:
            return True
        if num_own > MAX_OWN_NUMBERS and not is_telling:
            return False
        is_said = f" {asked.text} " in f" {told.text} " or _similarity(told, asked) >= SIMILAR
        return is_said and self.has_answer_of(other)

    def has_answer_of(self, other: "Asked") -> bool:
        """Whether the references are the same, as far as that is known without algebra."""
        return agree_by_rule(self.answer, other.answer)

    def _may_have_answer_of(self, other: "Asked") -> bool:
        """Whether the references may be the same: a letter beside a text may be that choice's,
        where the choices stand in the picture, or were left out.
        """
        letters = [letter_of(normalize(one.answer)) for one in (self, other)]
        return letters.count(None) == 1 or self.has_answer_of(other)

    def may_share_stem(self, other: "Asked") -> bool:
        """Whether equal stems make one problem: a short one without numbers needs a picture."""
        says_enough = self.stem.wording.is_long or bool(self.stem.wording.numbers)
        return self.stem.matches(other.stem) and (says_enough or bool(other.problem["images"]))

    def may_lack_figure(self, other: "Asked") -> bool:
        """Whether equal stems, of which one has the code of a figure, make one problem."""
        mine, theirs = self.bare or self.stem, other.bare or other.stem
        needs_choices = mine.needs_choices or theirs.needs_choices
        is_known = theirs.wording.numbers or (theirs.wording.is_long and self.has_answer_of(other))
        return bool(is_known) and (not needs_choices or mine.choices == theirs.choices)

    def is_about_the_same(self, other: "Asked") -> bool:
        """Whether two texts beside one picture are alike, or the other one, however short, is in
        this one, as behind a prompt's hints.
        """
        if holds(self.wording, other.wording):
            return True
        return _similarity(self.wording, other.wording) >= SIMILAR_BESIDE_A_PICTURE


def _similarity(left: Wording, right: Wording) -> float:
    return jaccard(shingles(left.text, 0), shingles(right.text, 0))
