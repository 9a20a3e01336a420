"""How a global batch is dealt out to ranks and cut into micro-batches, by tokens.

Pure functions of the sequences' sizes, so that every rank knows every other rank's share without
asking. Where images are not shared, each sequence goes its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """What a sequence takes of a forward pass.

    Attributes:
        tokens: Of prompt and response.
        prompt: Number of its prompt, which other sequences may have too.
        images: What the prompt's images cost the vision tower, in tokens of the language model; 0
            where sequences do not share them.
    """

    tokens: int
    prompt: int
    images: float = 0.0


@dataclass(frozen=True)
class Turn:
    """What a rank computes while every other rank computes its own.

    Attributes:
        rows: Of a micro-batch.
        counts: Whether it is learned from; else it only keeps the rank in step.
    """

    rows: list[int]
    counts: bool


def deal(sizes: Sequence[Size], num_ranks: int, budget_tokens: int) -> list[list[list[int]]]:
    """Every rank's micro-batches, as indices of sequences.

    Args:
        sizes: Of the global batch's sequences.
        num_ranks: Processes that learn together.
        budget_tokens: Of a micro-batch, padding included; a longer sequence has one of its own.
    """
    lengths = [size.tokens for size in sizes]
    # A bundle larger than a rank's fair share could not be balanced.
    bundles = bundled(sizes, min(budget_tokens, -(-sum(lengths) // num_ranks)))
    loads = [len(rows) * lengths[rows[0]] + sizes[rows[0]].images for rows in bundles]
    return [
        micro_batches([bundles[number] for number in sorted(share)], lengths, budget_tokens)
        for share in shares(loads, num_ranks)
    ]


def bundled(sizes: Sequence[Size], limit_tokens: int) -> list[list[int]]:
    """Sequences that stay together so that their prompt's images pass the vision tower once.

    A sequence joins its prompt's bundle where being padded to its longest costs less than its
    images would cost once more.

    Args:
        sizes: Of all sequences.
        limit_tokens: Of a bundle of more than one sequence, padding included.

    Returns:
        Bundles by their longest sequence, each longest first.
    """
    bundles: list[list[int]] = []
    newest: dict[int, list[int]] = {}
    for row in sorted(range(len(sizes)), key=lambda i: -sizes[i].tokens):
        size, bundle = sizes[row], newest.get(sizes[row].prompt)
        longest = sizes[bundle[0]].tokens if bundle else 0
        if (
            bundle
            and longest - size.tokens < size.images
            and (len(bundle) + 1) * longest <= limit_tokens
        ):
            bundle.append(row)
        else:
            newest[size.prompt] = [row]
            bundles.append(newest[size.prompt])
    return bundles


def shares(loads: Sequence[float], num_ranks: int) -> list[list[int]]:
    """Deals things out to ranks, balanced by load: largest first, to the least laden rank."""
    dealt: list[list[int]] = [[] for _ in range(num_ranks)]
    totals = [0.0] * num_ranks
    for number in sorted(range(len(loads)), key=lambda i: -loads[i]):
        rank = totals.index(min(totals))
        dealt[rank].append(number)
        totals[rank] += loads[number]
    return dealt


def micro_batches(
    bundles: Sequence[Sequence[int]], lengths: Sequence[int], budget_tokens: int
) -> list[list[int]]:
    """Puts bundles together so that padded micro-batches stay within a token budget.

    Args:
        bundles: Rows of sequences that stay together, by their longest as `bundled` gives them.
        lengths: Tokens of every sequence.
        budget_tokens: A bundle that takes more is a micro-batch of its own.
    """
    cut: list[list[int]] = []
    for rows in bundles:
        # The first row of a micro-batch is its longest: the others are padded to it.
        if cut and (len(cut[-1]) + len(rows)) * lengths[cut[-1][0]] <= budget_tokens:
            cut[-1] += rows
        else:
            cut.append(list(rows))
    return cut


def in_step(
    sizes: Sequence[Size], has_images: Sequence[bool], num_ranks: int, budget_tokens: int
) -> list[list[Turn]]:
    """Every rank's turns: as many as any other's, and with images where the others have some.

    Sequences with images come first, and are dealt out by themselves: who had more of them would
    else have fewer texts, and every rank as many turns as most of both. Texts that might have
    ridden with few images take a turn of their own: small batches have some more turns by that.
    A rank that has no micro-batch left for a turn repeats the shortest sequence of that kind, by
    itself, so that no micro-batch grows beyond its budget.

    Args:
        sizes: Of the global batch's sequences.
        has_images: Of every sequence; nowhere, if ranks may run the vision tower as it comes.
        num_ranks: Processes that learn together.
        budget_tokens: See `deal`.
    """
    turns: list[list[Turn]] = [[] for _ in range(num_ranks)]
    for kind in (True, False):
        alike = [row for row, has in enumerate(has_images) if has == kind]
        cuts = deal([sizes[row] for row in alike], num_ranks, budget_tokens)
        filler = Turn(sorted(alike, key=lambda row: sizes[row].tokens)[:1], counts=False)
        most = max(map(len, cuts))
        for rank, cut in enumerate(cuts):
            turns[rank] += [Turn([alike[i] for i in rows], counts=True) for rows in cut]
            turns[rank] += [filler] * (most - len(cut))
    return turns
