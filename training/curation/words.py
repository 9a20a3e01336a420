"""Words that a wording is read by: what they do to a question. All in lower case."""

# Words that change what is asked, and words for numbers and operations.
_DECIDING_WORDS = (
    "not no never none neither nor without cannot isnt arent dont doesnt didnt wasnt cant except "
    "largest smallest greatest least biggest most fewest highest lowest longest shortest "
    "maximum minimum maximal minimal maximize minimize maximise minimise larger smaller "
    "greater bigger less lesser more fewer higher lower longer shorter above below over under "
    "before after earlier later first last next previous even odd prime composite positive "
    "negative increase increases increased decrease decreases decreased rise rises fall falls gain "
    "gains lose loses lost wins won true false inside outside interior exterior left right up down "
    "clockwise counterclockwise north south east west add adds added subtract subtracts subtracted "
    "plus minus times divided multiplied sum difference product quotient remainder ratio square "
    "cube squared cubed root half quarter third thirds quarters halves double triple twice thrice "
    "dozen zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty "
    "ninety hundred thousand million billion second fourth fifth sixth seventh eighth ninth tenth "
    "area perimeter volume circumference "
    "diameter radius mean median mode range convex concave horizontal vertical width height length "
    "any all some every each only exactly both either or different distinct inclusive exclusive "
    "buys sells bought sold gives takes gave took off infinity binom profit loss "
    "away arithmetic geometric real imaginary"
)
# LaTeX's names of functions, with the backslash or without.
_FUNCTIONS = (
    "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan log ln lg exp lim limsup "
    "liminf max min sup inf gcd lcm det dim ker deg arg hom pr sqrt mod"
)
# Words that a slip makes of a long one of these, and that mean what they say. Other forms of these
# (`products`, `doubled`) are not among them: they decide as well.
_OWN_WORDS = (
    "large media forth ought ether lager loner bough tripe trice slowest newest brought fought "
    "sought nought produce dividend reminder weight mighty thirsty thrive precious pervious "
    "cannon convey valves calves salves inferior anterior insider outsider onside conclave "
    "deceased excerpt medial radium radios quartet quartets triplet triplex trifle wither dither "
    "zither hither nether linger longed lodger logger digger rigger shooter sorter shorten squire "
    "lessen lessor larder largess grater greeter lounger weighty bullion boughs rouble divined"
)
# Words in which two ways to ask the same may differ.
_ASKING_WORDS = (
    "a an the of is are be was were what which whats find determine compute calculate evaluate "
    "please give solve state work value answer result question problem following here now then so "
    "to for and that this these your its it as do does can could you me us tell need know want "
    "let have has we there if will would"
)
_FILLING_WORDS = "on in at by with from into towards and while when who her his their they"

FUNCTIONS = frozenset(_FUNCTIONS.split())
DECIDING = frozenset(_DECIDING_WORDS.split()) | FUNCTIONS
OWN = frozenset(_OWN_WORDS.split())
ASKING = frozenset(_ASKING_WORDS.split())
FILLING = ASKING | frozenset(_FILLING_WORDS.split())  # may come and go in any text
