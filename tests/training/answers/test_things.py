"""What an answer may count: nouns, their adjectives and contents, currencies, per cent signs."""

import pytest

from training.answers.nouns import are_alike
from training.answers.questions import read_asked
from training.answers.quick import judge

PENS = "A pen costs €5. What do 3 pens cost?"
PARTS = "What fraction of the cake is left?"
ROWS = "There are 24 students in 4 rows. How many students are in each row?"
LEFT = "Sam has 12 apples and eats 5. How many are left?"
GIRLS = "There are 30 students in the class; 12 are boys. How many girls are there?"
SPEED = "Jared types 47 words per minute (WPM). What is his average typing speed?"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        # the noun is the one that is counted, a synonym or a word for anything
        (GIRLS, "18", r"18 \text{ boys}", False),
        (GIRLS, "18", r"18 \text{ students}", False),
        (GIRLS, "18", r"18 \text{ girls}", True),
        (GIRLS, "18", r"18 \text{ people}", True),
        ("How many people came?", "18", r"18 \text{ women}", False),
        ("How many people came?", "18", r"18 \text{ guests}", True),
        ("How many students are girls?", "18", r"18 \text{ girls}", True),
        ("How many adults and children came?", "18", r"18 \text{ adults}", False),
        ("How many dozens of eggs will she eat?", "7", r"7 \text{ eggs}", False),
        ("How many dozen eggs will she eat?", "7", r"7 \text{ eggs}", False),
        ("How many dozens of eggs will she eat?", "7", r"7 \text{ dozens}", True),
        ("How many dozen eggs will she eat?", "7", r"7 \text{ dozen eggs}", True),
        ("How many pairs of shoes has she?", "5", r"5 \text{ shoes}", False),
        ("How many boxes of clips are needed?", "5", r"5 \text{ clips}", False),
        ("How many boxes of clips are needed?", "5", r"5 \text{ boxes of clips}", True),
        ("How many more girls than boys are there?", "5", r"5 \text{ boys}", False),
        ("How many cups of feed do 20 chickens eat?", "20", r"20 \text{ chickens}", False),
        ("Tom has 3 dogs. How many legs have they?", "12", r"12 \text{ dogs}", False),
        ("How many prime factors has 30?", "3", r"3 \text{ divisors}", False),
        ("How many sports cars are there?", "5", r"5 \text{ cars}", True),
        ("How many students like apples?", "5", r"5 \text{ apples}", False),
        (
            "If she has 5 vacuum cleaners, how many had she?",
            "8",
            r"8 \text{ vacuum cleaners}",
            True,
        ),
        ("If 5 squared is 25, what is it?", "8", r"8 \text{ squared}", False),
        (ROWS, "6", r"6 \text{ rows}", False),
        (ROWS, "6", r"6 \text{ students in each row}", True),
        (LEFT, "7", r"7 \text{ pears}", False),
        (LEFT, "7", r"7 \text{ apples}", True),
        (LEFT, "7", r"7 \text{ (apples)}", True),
        # so are its adjectives and contents
        ("How many red balls are there?", "6", r"6 \text{ blue balls}", False),
        ("How many red balls are there?", "6", r"6 \text{ red balls}", True),
        ("There are 4 red balls. How many are not red?", "6", r"6 \text{ red balls}", False),
        ("How many marbles are there?", "6", r"6 \text{ total marbles}", True),
        ("How many bags of rice did he buy?", "5", r"5 \text{ bags of beans}", False),
        ("How many grams of sugar are needed?", "5", r"5 \text{ grams of salt}", False),
        ("How many grams of sugar are needed?", "5", r"5 \text{ grams of sugar}", True),
        ("How many centimeters shorter is it?", "8", r"8 \text{ centimeters shorter}", True),
        (SPEED, "52", r"52 \text{ WPM}", True),
        (SPEED, "52", r"52 \text{ words per minute}", True),
        ("She downloads 2 GB a minute. How long does it take?", "9", r"9 \text{ GB}", False),
        # a number that is worked out has no unit
        ("What is the discriminant of $x^2+3x+1$?", "5", r"5 \text{ cm}", False),
        ("What is the discriminant of $x^2+3x+1$?", "5", r"500\%", False),
        ("What is the slope of the line?", "3", r"\$3", False),
        (r"What is $7 \times 8$?", "56", r"56^\circ", False),
        (r"What is $7 \times 8$?", "56", r"56 \text{ apples}", False),
        ("What is the median of 3, 5, 9?", "5", r"5 \text{ cm}", False),
        ("Solve $2x = 6$.", "3", r"x = 3 \text{ cm}", False),
        (r"Solve $\sin x = 1$ for x in degrees.", "90", r"90^\circ", True),
        ("What is the distance of the 2 trains?", "230", r"230 \text{ trains}", False),
        ("What is the density of 27 g?", "2.7", r"2.7 \text{ g}", False),
        ("What is the density of 27 g?", "2.7", r"2.7 \text{ g/cm}^3", True),
        ("What is the length in feet and inches?", "3", r"3 \text{ miles}", False),
        ("Find the measure of the angle.", "5", r"5 \text{ cm}", False),
        ("What is the sine of the angle?", "0.5", r"0.5^\circ", False),
        (r"What is $\log 100$?", "2", r"2 \text{ digits}", False),
        ("In what year was it?", "2005", r"2005 \text{ years}", False),
        ("How tall is he?", "5", r"5 \text{ kg}", False),
        ("How tall is he?", "5", r"5 \text{ feet tall}", True),
        ("How much older is she?", "5", r"5 \text{ cm}", False),
        ("How much does it weigh?", "5", r"5 \text{ cm}", False),
        ("What is Tom's age?", "5", r"5 \text{ days}", False),
        ("The sides are 3 cm and 4 cm. What is the hypotenuse?", "5", r"5 \text{ cm}^2", False),
        ("The sides are 3 cm and 4 cm. What is the hypotenuse?", "5", r"5 \text{ cm}", True),
        ("How many apples has Tom?", "5", r"5 \text{ apples each}", False),
        ("How many gallons of gas are left?", "5", r"5 \text{ gallons of gas}", True),
        ("What is the 5th term?", "16", r"16 \text{ cm}", False),
        ("What is the value of $x$?", "8", r"8 \text{ kg}", False),
        ("What is the value of $x$?", "8", r"8 \text{ cm}", True),
        ("She needs $x$ kg of flour. Find $x$.", "8", r"8 \text{ kg}", False),
        ("She needs 2 kg and $x$ kg of flour. Find $x$.", "8", r"8 \text{ kg}", True),
        (r"Evaluate $i^{10}$.", "5", r"5 \text{ cm}", False),
        ("Find $f(2)$ if $f(x)=x^2+1$.", "5", r"5 \text{ kg}", False),
        ("What is 3/4 of 20?", "15", r"15 \text{ points}", False),
        ("A triangle has $a=3$. Find $a+b$.", "5", r"5 \text{ cm}", True),
        ("A triangle has $a=3$. Find $a+b$.", "5", r"5 \text{ kg}", False),
        (
            "A train goes $3$ hours at $60$ miles per hour. Find $d$.",
            "180",
            r"180 \text{ miles}",
            True,
        ),
        ("How many minutes are in 2 hours?", "120", r"120 \text{ units}", False),
        ("A rope is 5 m long. How long is half of it?", "2.5", r"2.5 \text{ hours}", False),
        ("A rope is 5 m long. How long is half of it?", "2.5", r"2.5 \text{ m}", True),
        (r"Convert $\frac{\pi}{3}$ to degrees.", "60", r"60 \text{ °C}", False),
        ("How much do both cost? (Unit: $)", "80", r"80 \text{ cents}", False),
        ("How much do both cost? (Unit: $)", "80", r"\$80", True),
        ("What is the rate in 2010 (%)?", "9.6", r"9.6 \text{ mph}", False),
        ("What is the rate in 2010 (%)?", "9.6", r"9.6\%", True),
        ("What is the mass of the block?", "5", r"5 \text{ N}", False),
        ("What is the mean of the numbers?", "5", r"5 \text{ years}", False),
        ("What is the length of $BC$?", "8", r"8 \text{ cm}^2", False),
        ("What is the sum of the angles?", "540", r"540^\circ^2", False),
        (
            "What is the average number of apples per box?",
            "15",
            r"15 \text{ apples per day}",
            False,
        ),
        ("What is the population of the city?", "5000", r"5000 \text{ people}^2", False),
        ("Find the area of the figure.", "12", r"12 \text{ sq cm}^2", False),
        ("Find the area of the figure.", "12", r"12 \text{ sq cm}", True),
        ("Evaluate the expression when $x=2$.", "7", r"7 \text{ kg}", False),
        ("What is the domain of $f$?", r"[2,\infty)", r"x \ge 2 \text{ kg}", False),
        ("How many unit squares are there?", "13", r"13 \text{ unit squares zorps}", False),
        ("Find the length of the diagonal.", r"5\sqrt2", r"5\sqrt{2} \text{ percent}", False),
        # currencies
        (PENS, "15", r"\$15", False),
        (PENS, "15", "€15", True),
        (PENS, "15", r"15 \text{ pens}", False),
        ("How many apples did he buy for $6?", "3", r"\$3", False),
        ("How much is the car?", "12000", r"12,000 \text{ dollars}", True),
        ("What is the value (in $)?", "1234.56", r"\$1,234.56", True),
        ("What is the tip, in dollars?", "4.5", r"\$4.52", False),
        ("What is the tip, in dollars?", "15.00", r"\$15.004", False),
        ("What is the tip, in dollars?", "0.67", r"\frac{2}{3}", True),
        # per cent
        ("What is the average of the class?", "85", r"85\%", False),
        ("How much water is in the remaining 24 liters?", "15", r"15\%", False),
        ("By what factor did it rise?", "150", r"150\%", False),
        ("How many per cent of them is it?", "85", r"85\%", True),
        ("What is the probability of rain?", "0.3", r"30\%", True),
        ("What is the probability of rain?", "0.3", r"30\% \text{ of days}", False),
        ("What is 20% of 50?", "10", r"10\%", False),
        ("What is 20% of 50?", "10", r"1000\%", False),
        ("What percent of the students are girls?", "60", r"60\% \text{ of the students}", True),
        ("What percent of the students are girls?", "60", r"60\% \text{ of the boys}", False),
        ("What percent of 50 is 30?", "60", r"60\% \text{ of } 30", False),
        (PARTS, r"\frac14", r"\frac{1}{4} \text{ of the cake}", True),
        (PARTS, r"\frac14", r"\frac{1}{4} \text{ of the pie}", False),
        (PARTS, "5", r"5 \text{ of the cake}", False),
        (PARTS + " There are 3 pies.", r"\frac14", r"\frac{1}{4} \text{ of the pies}", False),
        ("How many moles are there?", "5", r"5 \text{ mol}", True),
        ("What is the molar mass?", "18", r"18 \text{ g}", False),
        ("What is the current in the wire?", "5", r"5 \text{ V}", False),
        ("Find the angle.", "57", r"57 \text{ radians}", False),
        ("What is the change in temperature?", "5", r"\$5", False),
        ("What is the income in millions of dollars?", "12.5", r"\$12.5 \text{ million}", True),
        ("What is the income in dollars?", "12.5", r"\$12.5 \text{ million}", False),
    ],
)
def test_a_word_or_sign_is_the_questions(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


@pytest.mark.parametrize(
    ("question", "nouns"),
    [
        ("How many boxes of pencils does she need?", {"box"}),
        ("How many dozen eggs are left?", {"dozen"}),
        ("How many boys and girls are there?", {"boy", "girl"}),
        ("How many of the 30 students are girls?", {"student", "girl"}),
        ("How many students are girls?", {"student", "girl"}),
        ("How many apple pies did he bake?", {"pie"}),
        ("How many sheep has he?", {"sheep"}),
        ("How many are left?", set()),
        ("How many metres is it?", set()),
    ],
)
def test_the_noun_that_is_counted(question, nouns):
    assert read_asked(question).nouns == nouns


@pytest.mark.parametrize(
    ("noun", "asked", "alike"),
    [
        *[("person", "girl", True), ("guest", "person", True), ("girl", "person", False)],
        *[("boy", "girl", False), ("pupil", "student", True), ("dog", "cat", False)],
        *[("dog", "dog", True), ("person", "dog", False)],
    ],
)
def test_nouns_of_one_thing(noun, asked, alike):
    assert are_alike(noun, asked) is alike
