"""Things that problems count, in the singular, and adjectives that change no count.

No word that makes another number of the one before it belongs here: no half, quarter, third, pair,
couple, dozen, score, gross, square or cube.
"""

_NOUNS = """
    answer arrangement case choice coefficient combination digit divisor edge element
    equation face factor function integer intersection line multiple number outcome pattern
    permutation point possibility prime root sequence side solution step subset term time triangle
    tuple value vertex way zero zeros angle arc area chord circle diagonal diameter region segment
    sector rectangle pentagon hexagon polygon prism cylinder cone sphere tile block

    person man woman child kid boy girl adult baby student teacher pupil friend member player worker
    employee guest passenger customer visitor voter resident tourist parent sibling brother sister
    cousin son daughter team class group family club committee school company candidate citizen
    soldier singer dancer actor runner driver rider swimmer camper scout neighbor neighbour monkey
    dog cat cow horse sheep pig goat chicken hen duck goose rabbit bird fish frog ant bee spider
    butterfly insect animal mouse elephant lion tiger bear snake turtle whale penguin squirrel
    kitten puppy pet

    apple orange banana pear peach plum grape cherry strawberry berry lemon lime melon mango
    pineapple potato tomato carrot onion pepper cucumber bean pea nut walnut almond egg cookie cake
    cupcake muffin pie pizza slice sandwich burger candy chocolate bar lollipop donut doughnut bagel
    loaf bread cup glass mug plate bowl spoon fork knife bottle can jar jug pitcher carton packet
    pack package bag box basket crate bucket barrel container tray tank serving meal lunch dinner
    drink juice milk water soda coffee tea flour sugar rice butter salt

    book page chapter word letter sentence paragraph paper sheet notebook pen pencil crayon marker
    eraser ruler folder card stamp sticker poster photo picture painting magazine newspaper novel
    story poem song movie film game toy doll ball marble balloon kite puzzle bead block brick die
    coin penny nickel dime ticket prize medal trophy token chip button shirt hat shoe sock dress
    coat jacket glove scarf ribbon rope string thread nail screw bolt key lock lamp light bulb
    candle chair table desk bench bed sofa shelf drawer door window wall room floor house home
    building apartment hotel office store shop restaurant library museum park garden farm field
    tree flower rose tulip leaf branch plant seed bush rock stone pebble shell

    car bus truck van train plane airplane boat ship bicycle bike motorcycle wheel tire seat trip
    ride lap stop station road street bridge
    game match goal run hit basket round race turn win loss draw vote
    question problem test exam quiz grade mark lesson course project task job item object piece part
    unit set row column stack pile layer level stage cell bit byte message email phone
    computer machine robot customer order sale purchase gift present party event visit meeting
    battery camera panel post pole fence board plank stick tube pipe bar
    molecule atom electron proton neutron particle cell gene
"""
_ADJECTIVES = """
    red blue green yellow white black brown orange purple pink gray grey big small large little long
    short tall new old whole full empty equal different distinct possible total unique correct real
    even odd prime
"""
NOUNS = frozenset(_NOUNS.split())
ADJECTIVES = frozenset(_ADJECTIVES.split())
# These count whatever is asked for: `5 ways`, `5 objects`.
ANY_THING = frozenset(
    {
        *("answer", "arrangement", "case", "choice", "combination", "item", "object", "outcome"),
        *("pattern", "possibility", "total", "way"),
    }
)
# What people are called by what they do: no word for one sex or age, which leaves others out.
_DOINGS = """
    student pupil friend member player worker employee guest passenger customer visitor voter
    resident citizen tourist candidate soldier singer dancer actor runner driver rider swimmer
    camper scout
"""
_ROLES = frozenset(_DOINGS.split())
_PEOPLE = _ROLES | {
    *("man", "woman", "child", "kid", "boy", "girl", "adult", "baby", "teacher", "parent"),
    *("sibling", "brother", "sister", "cousin", "son", "daughter"),
}
# Nouns of one group may stand for one another.
_SAME_THINGS = (
    frozenset({"student", "pupil"}),
    frozenset({"child", "kid"}),
    frozenset({"factor", "divisor"}),
    frozenset({"side", "edge"}),
    frozenset({"vertex", "corner", "point"}),
    frozenset({"root", "zero", "solution", "value"}),
    frozenset({"integer", "number"}),
)


def are_alike(noun: str, asked: str) -> bool:
    """Whether a noun may be said for the one that is asked for.

    It is the same or a synonym; girls, and any others, are people; people may be called by what
    they do.
    """
    if noun == asked or any({noun, asked} <= same for same in _SAME_THINGS):
        return True
    return (noun == "person" and asked in _PEOPLE) or (asked == "person" and noun in _ROLES)


# Results of a game or a deal: where something else is asked for, they contradict it.
RESULTS = frozenset({"draw", "loss", "win"})
# Behind a number these say something else in the singular: `5 point`, `5 prime`.
ONLY_PLURAL = frozenset({"factor", "multiple", "point", "prime", "root", "time", "zero"})
