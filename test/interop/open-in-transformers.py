"""Opens a checkpoint folder with Transformers and classifies texts.

    python open-in-transformers.py DIR --texts FILE

FILE has one text per line; a tab separates the two texts of a pair. Prints one JSON object:
    logits           [texts, labels], float32
    labels           the name of the best label of each text, from id2label; null with one output (regression)
    missing_keys, unexpected_keys, mismatched_keys
                     tensors that the folder lacks, has too much, or has in another shape; all empty in a sound folder
    versions         of torch and transformers
Needs torch and transformers; reads nothing but the folder and FILE, no network.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--texts", metavar="FILE", type=Path, required=True)
    return parser.parse_args()


def encode(tokenizer, lines, limit):
    rows = [line.split("\t") for line in lines]
    if any(len(row) != len(rows[0]) for row in rows):
        raise SystemExit("either every line is a pair or none is")
    columns = [list(column) for column in zip(*rows)]
    return tokenizer(*columns, padding=True, truncation=True, max_length=limit, return_tensors="pt")


def main():
    options = parse()
    transformers.logging.set_verbosity_error()
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        options.folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(options.folder, local_files_only=True)
    lines = [line for line in options.texts.read_text(encoding="utf-8").split("\n") if line.strip()]
    batch = encode(tokenizer, lines, model.config.max_position_embeddings)
    with torch.no_grad():
        logits = model.eval()(**batch).logits
    regression = logits.shape[1] == 1
    answer = {
        "logits": logits.tolist(),
        "labels": None if regression else [model.config.id2label[i] for i in logits.argmax(-1).tolist()],
        **{name: sorted(map(str, loading[name])) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    print(json.dumps(answer))


main()
