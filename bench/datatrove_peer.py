"""datatrove's near duplicates and decontamination, for its own Python: nothing of ours is imported.

`PYTHON bench/datatrove_peer.py ROWS.parquet QUESTIONS.parquet FOLDER` prints what each took. Its
steps are called without its executors, which would add the time of starting processes.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.decont import NGramsDecontFilter
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.text import ngrams, simplify_text
from loguru import logger


def documents(path: Path) -> Iterator[Document]:
    """The rows of a file, by their questions."""
    for batch in pq.ParquetFile(path).iter_batches(10_000, columns=["id", "question"]):
        for row in batch.to_pylist():
            yield Document(text=row["question"], id=row["id"])


def near_duplicates(rows: Path, folder: Path) -> int:
    """The four stages with their defaults; how many rows stay."""
    signatures, buckets, remove = (str(folder / name) for name in ("sig", "buckets", "remove"))
    config = MinhashConfig()
    MinhashDedupSignature(signatures, config).run(documents(rows), 0, 1)
    for bucket in range(config.num_buckets):
        MinhashDedupBuckets(signatures, buckets, config=config).run(
            None, bucket, config.num_buckets
        )
    MinhashDedupCluster(buckets, remove, config).run(None, 0, 1)
    return sum(1 for _ in MinhashDedupFilter(remove).run(documents(rows), 0, 1))


def decontamination(rows: Path, questions: Path, folder: Path) -> int:
    """The filter with its defaults, and an index of the questions' n-grams; how many rows stay."""
    folder.mkdir()
    found = NGramsDecontFilter(str(folder))
    hashes = {
        found.hash_func(" ".join(gram))
        for question in pq.read_table(questions)["question"].to_pylist()
        for gram in ngrams(
            found.tokenizer.word_tokenize(simplify_text(question, found.config.norm_config)),
            found.config.n_grams,
        )
    }
    index = np.array(sorted(hashes), dtype=found.config.hash_config.np_descr)
    index.tofile(folder / "exam.index.hashes")
    return sum(1 for _ in found.run(documents(rows), 0, 1))


def main() -> None:
    """Times both on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    logger.remove()
    rows, questions, folder = map(Path, sys.argv[1:])
    start = perf_counter()
    num_near = near_duplicates(rows, folder / "near")
    middle = perf_counter()
    num_clean = decontamination(rows, questions, folder / "decontamination")
    seconds = {"near": middle - start, "decontamination": perf_counter() - middle}
    print(json.dumps({"seconds": seconds, "stay": {"near": num_near, "clean": num_clean}}))


if __name__ == "__main__":
    main()
