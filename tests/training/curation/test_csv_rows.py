"""Broken records of CSV files: each is told with its text and its lines, and takes no other row."""

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from training.curation import csv_rows as module
from training.curation.csv_rows import csv_rows
from training.curation.lines import BrokenLine

HEAD = "question,answer\n"


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The rows of a text as pairs, and the broken records as reason, line and text."""
    path = tmp_path_factory.mktemp("csv") / "rows.csv"

    def rows(text):
        path.write_text(text, newline="")
        found = [row for row, _ in csv_rows(path)]
        broken = [one for one in found if isinstance(one, BrokenLine)]
        kept = [tuple(one.values()) for one in found if not isinstance(one, BrokenLine)]
        return kept, [(one.reason, one.place.removeprefix("rows.csv:"), one.text) for one in broken]

    return rows


FIELDS = st.builds(str.__add__, st.sampled_from("ab"), st.text('a,"\n', max_size=6))
ROWS = st.lists(st.tuples(FIELDS, FIELDS), max_size=8)


def written(rows, quoting=csv.QUOTE_MINIMAL):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=quoting).writerows(rows)
    return file.getvalue()


@given(ROWS, ROWS, st.sampled_from(['"open,1\n', 'x,"open\n', '6" x,"open\n']), st.booleans())
def test_a_quote_that_nothing_closes_costs_its_line_and_no_other(read, before, behind, open_, all_):
    """Also where rows behind it have texts over several lines, with commas and quotes."""
    quoting = csv.QUOTE_ALL if all_ else csv.QUOTE_MINIMAL
    text = HEAD + written(before, quoting)
    kept, broken = read(text + open_ + written(behind, quoting))
    assert kept == [*before, *behind]
    assert broken == [("line that is no CSV", str(text.count("\n") + 1), open_)]


@given(ROWS)
def test_well_formed_rows_are_what_was_written(read, rows):
    assert read(HEAD + written(rows)) == (rows, [])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('"He said\n"go" and left\nat 3, or 4",7\n', "record of several lines that is no CSV"),
        ('"a ""b"" c\nd "e" f, g\n\nh",7\n', "record of several lines that is no CSV"),
        ('"say "hi" to\nher, please",1\n', "record of several lines that is no CSV"),
        ('"x"y,1\n', "line that is no CSV"),
        ('"a\nb"\n', "record of several lines with more or fewer fields than columns"),
        ('"a, b\nhe said "go" and, left\nat 4",7\n', "record of several lines that is no CSV"),
        ("a,b,c\n", "line with more or fewer fields than columns"),
    ],
)
def test_no_line_of_a_broken_text_is_a_row(record, reason, read):
    """Some would be, by their commas."""
    kept, broken = read(HEAD + "first,1\n" + record + "last,2\n")
    assert kept == [("first", "1"), ("last", "2")]
    last = record.count("\n") + 2
    assert broken == [(reason, "3" if last == 3 else f"3-{last}", record)]


@pytest.mark.parametrize("inch", [('6" wide', "8"), ('6" by 4"', "8"), ('6" x', '4" y')])
@pytest.mark.parametrize("num_rows", [0, 50])
def test_a_quote_inside_a_field_neither_opens_nor_closes_one(num_rows, inch, read):
    """Python's csv reads such a line by itself as these two fields, too."""
    line = ",".join(inch) + "\n"
    assert list(csv.reader([line], strict=True)) == [list(inch)]
    kept, broken = read(HEAD + '"open,1\n' + "q,7\n" * num_rows + line + "z,9\n")
    assert kept == [("q", "7")] * num_rows + [inch, ("z", "9")]
    assert broken == [("line that is no CSV", "2", '"open,1\n')]


WIDE_HEAD = "id,question,answer\n"
# As files have them: all but the inch mark inside a field are what `csv.writer` writes.
KINDS = (
    "What is {} + 1?",
    'A board 6" wide and {} long',
    '"If x = {}, find x + 1, please"',
    '"A ""nice"" number, {}, is it?"',
    '"""Go, {},"" he said"',
    '"Line one {}\nline two, what?"',
    '"Tom, Ann ""and"" {} more\n\nwent, or so\nhow ""far""?"',
)
KIND = st.sampled_from(KINDS)
FEW = st.lists(KIND, max_size=6)


def records(kinds, first=0):
    return [f"{n},{kind.format(n)},{n + 1}\n" for n, kind in enumerate(kinds, first)]


def by_csv(text):
    return [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)]


@given(FEW, KIND.filter(lambda kind: '"' in kind[:1]), FEW, st.data())
def test_one_quote_that_is_missing_costs_no_sound_row(read, before, damaged, behind, data):
    """Nor makes one, but of a line that is a row by itself, which nothing can tell."""
    before, behind = records(before), records([*behind, *KINDS[:1] * 4], 50)
    (record,) = records([damaged], 40)
    place = data.draw(st.sampled_from([n for n, sign in enumerate(record) if sign == '"']))
    record = record[:place] + record[place + 1 :]
    assume(all(line.count(",") != 2 for line in record.splitlines()))
    kept, broken = read(WIDE_HEAD + "".join([*before, record, *behind]))
    assert kept == by_csv("".join([*before, *behind]))
    assert "".join(text for *_, text in broken) == record


@given(FEW, st.sampled_from([WIDE_HEAD, "question,answer\n"]))
def test_sound_files_are_read_as_pythons_csv_reads_them(read, kinds, head):
    text = "".join(records(kinds))
    if head != WIDE_HEAD:
        text = "".join(record.partition(",")[2] for record in records(kinds))
    assert read(head + text) == (by_csv(text), [])


PLAIN, QUOTED = records(KINDS[:1] * 50, 2), records(KINDS[2:3] * 50, 2)


@pytest.mark.parametrize("rows", [PLAIN, QUOTED], ids=["plain", "quoted"])
def test_an_open_quote_before_a_comma_takes_no_row_along(rows, read):
    """A field is quoted because of its comma, so its line has more fields than a row."""
    kept, broken = read(WIDE_HEAD + '1,"If x = 1, find x + 1,2\n' + "".join(rows))
    assert kept == by_csv("".join(rows))
    assert broken == [("line that is no CSV", "2", '1,"If x = 1, find x + 1,2\n')]


@pytest.mark.parametrize(
    ("open_", "meets", "is_row"),
    [
        ('1,"find x + 1,2\n', '99,A board is 5",3\n', True),
        ('1,"If x = 1, find x + 1,2\n', '99,A board is 5",3\n', True),
        ('1,find x,"2\n', '99,A board,5"\n', True),
        ('1,find x,"2\n', '99,A board is 5",3\n', True),  # four fields in all
        ('1,"find x + 1,2\n', '99,A board is 5",3,4\n', False),
    ],
)
def test_an_open_quote_that_meets_a_later_one_makes_no_row_of_those_between(
    open_, meets, is_row, read
):
    """Python's csv reads one record of 52 lines, without a fault."""
    text = open_ + "".join(PLAIN) + meets
    assert len(by_csv(text)) == 1
    kept, broken = read(WIDE_HEAD + text)
    assert kept == by_csv("".join(PLAIN) + meets * is_row)
    assert broken[0] == ("line that is no CSV", "2", open_)


def test_a_text_with_a_few_lines_that_look_like_rows_is_a_row(read):
    text = "Tom has 3 apples, Jerry 4.\nAnn has 5, too.\nBen has 6, as well.\nHow many?"
    assert read(f'{HEAD}"{text}",18\nz,9\n') == ([(text, "18"), ("z", "9")], [])


def test_lines_that_each_end_a_field_and_open_one(read):
    """All of them are one record of Python's csv; to read it again for each would take minutes."""
    kept, broken = read(HEAD + 'x","y\n' * 30_000 + "z,9\n")
    assert kept == [("z", "9")]
    assert {(reason, text) for reason, _, text in broken} == {("line that is no CSV", 'x","y\n')}
    assert len(broken) == 30_000


def test_two_quotes_that_nothing_closes(read):
    kept, broken = read(HEAD + '"open,1\na,2\n\n"more,3\nb,4')
    assert kept == [("a", "2"), ("b", "4")]
    assert [place for _, place, _ in broken] == ["2", "5"]


def test_a_text_that_the_file_ends_in_is_one_record(read):
    kept, broken = read(HEAD + 'a,2\n"the rest\nis, so\nto say, missing')
    assert kept == [("a", "2")]
    assert broken == [
        ("record of several lines that is no CSV", "3-5", '"the rest\nis, so\nto say, missing')
    ]


def test_a_field_over_the_limit_takes_all_its_lines_with_it(read, monkeypatch):
    monkeypatch.setattr(module, "MAX_FIELD_CHARACTERS", 1000)
    text = "a line, and so on, of text\n" * 200
    kept, broken = read(HEAD + f'a,1\n"{text}",2\nb,3\n"{"x" * 2000}",4\nc,5\n')
    assert kept == [("a", "1"), ("b", "3"), ("c", "5")]
    assert [(reason, place) for reason, place, _ in broken] == [
        ("record of several lines that is no CSV", "3-203"),
        ("line that is no CSV", "205"),
    ]
    assert [shown for *_, shown in broken] == [('"' + text)[:1000], '"' + "x" * 999]


def test_a_line_without_end_is_one_record(read, monkeypatch):
    monkeypatch.setattr(module, "MAX_FIELD_CHARACTERS", 1000)
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 1500)
    long = "y" * 20_000
    kept, broken = read(HEAD + f'a,1\n"{long}",2\nb,3\n{long},{long},5\nc,6\n')
    assert kept == [("a", "1"), ("b", "3"), ("c", "6")]
    assert [place for _, place, _ in broken] == ["3", "5"]


def test_a_few_hundred_rows_show_that_a_quote_is_open(read):
    rows = [(f"{n}?", str(n)) for n in range(300)]
    kept, broken = read(HEAD + '"open,1\n' + written(rows) + "a,b,c\n" + written(rows))
    assert kept == rows * 2
    assert len(broken) == 2
