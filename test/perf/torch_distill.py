"""A plain PyTorch loop for distillation: shuffled batches padded to their longest, KD loss, clipping, fused AdamW.

    torch_distill.py EXAMPLES SHAPE [--threads N] [--batch N] [--attention sdpa|eager]

EXAMPLES is a JSON file with ids, labels and the teacher's logits of each example; SHAPE is the student's, as JSON.
It is a server, as torch_train_step.py is; it answers
    steps N   N steps              {"seconds": of all, "examples": their number}
    info      what is measured
    quit      ends; so does the end of input
"""

import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F
import transformers


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("examples")
    parser.add_argument("shape", type=json.loads)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    return parser.parse_args()


class Examples(torch.utils.data.Dataset):
    def __init__(self, path):
        with open(path) as file:
            data = json.load(file)
        self.ids, self.labels, self.logits = data["ids"], data["labels"], data["logits"]

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return self.ids[i], self.labels[i], self.logits[i]


def collate(rows):
    longest = max(len(ids) for ids, _, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _, _ in rows])
    labels = torch.tensor([int(label) for _, label, _ in rows])
    return ids, mask, labels, torch.tensor([logits for _, _, logits in rows])


def forever(loader):
    while True:
        yield from loader


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    shape = options.shape
    config = transformers.BertConfig(
        vocab_size=shape["vocabSize"],
        hidden_size=shape["hiddenSize"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["intermediateSize"],
        max_position_embeddings=shape["maxPositions"],
        num_labels=2,
        attn_implementation=options.attention,
    )
    model = transformers.BertForSequenceClassification(config).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.01, fused=True)
    loader = torch.utils.data.DataLoader(
        Examples(options.examples), batch_size=options.batch, shuffle=True, collate_fn=collate, drop_last=True
    )
    batches = forever(loader)

    def step():
        ids, mask, labels, teacher = next(batches)
        logits = model(input_ids=ids, attention_mask=mask).logits
        soft = F.kl_div(F.log_softmax(logits, -1), F.softmax(teacher, -1), reduction="batchmean")
        loss = 0.5 * F.cross_entropy(logits, labels) + 0.5 * soft
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item(), ids.shape

    def steps(count):
        start = time.perf_counter()
        shapes = [step()[1] for _ in range(count)]
        return {
            "seconds": time.perf_counter() - start,
            "examples": sum(rows for rows, _ in shapes),
            "tokens": sum(rows * length for rows, length in shapes),
        }

    def info():
        return {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": torch.get_num_threads(),
            "parameters": sum(parameter.numel() for parameter in parameters),
            "attention": options.attention,
            "batch": options.batch,
        }

    for line in sys.stdin:
        match line.split():
            case ["steps", count] if count.isdigit() and int(count) > 0:
                answer = steps(int(count))
            case ["info"]:
                answer = info()
            case ["quit"]:
                break
            case _:
                answer = {"error": f"expected 'steps N', 'info' or 'quit', found {line.strip()!r}"}
        print(json.dumps(answer), flush=True)


main()
