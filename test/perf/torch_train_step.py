"""PyTorch reference for workload P: one training step of a small BERT classifier, eager mode, fused AdamW.

4 layers, hidden 312, FFN 1200, 12 heads, vocabulary 30522, 2 labels, batch 32 x length 64, float32.
A step is forward, cross-entropy, backward, clipping to a global norm of 1, AdamW over all parameters.

It is a server, so that its steps can be interleaved with those of another executor. It answers each line
of standard input with one JSON line, and says nothing unasked:
    step N   N steps              {"seconds": [s1, ..., sN], "loss": the last step's}
    info     what is measured     {"torch": ..., "transformers": ..., "threads": ..., ...}
    memory   peak of the process  {"bytes": ...}
    quit     ends; so does the end of input
Warm it up with a few steps before counting. Needs torch and transformers; no network.
"""

import argparse
import json
import resource
import sys
import time

import torch
import transformers


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--padded", action="store_true", help="lengths from 32 to 64; default all 64")
    parser.add_argument("--no-clip", dest="clip", action="store_false", help="leave out the gradient clipping")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    return parser.parse_args()


def build(options):
    config = transformers.BertConfig(
        vocab_size=30522,
        hidden_size=312,
        num_hidden_layers=4,
        num_attention_heads=12,
        intermediate_size=1200,
        num_labels=2,
        hidden_dropout_prob=options.dropout,
        attention_probs_dropout_prob=options.dropout,
        attn_implementation=options.attention,
    )
    return transformers.BertForSequenceClassification(config).train()


def batch_of(options):
    size, length = options.batch, options.length
    lengths = torch.randint(length // 2, length + 1, (size,)) if options.padded else torch.full((size,), length)
    mask = (torch.arange(length) < lengths[:, None]).long()
    return {
        "input_ids": torch.randint(1, 30522, (size, length)) * mask,
        "attention_mask": mask,
        "token_type_ids": torch.zeros(size, length, dtype=torch.long),
        "labels": torch.randint(0, 2, (size,)),
    }


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    model = build(options)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=2e-5, weight_decay=0.01, fused=True)
    batch = batch_of(options)

    def step():
        start = time.perf_counter()
        loss = model(**batch).loss
        loss.backward()
        if options.clip:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start, loss.item()

    def steps(count):
        results = [step() for _ in range(count)]
        return {"seconds": [seconds for seconds, _ in results], "loss": results[-1][1]}

    def info():
        return {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": torch.get_num_threads(),
            "parameters": sum(parameter.numel() for parameter in parameters),
            **vars(options),
        }

    for line in sys.stdin:
        match line.split():
            case ["step", count] if count.isdigit() and int(count) > 0:
                answer = steps(int(count))
            case ["info"]:
                answer = info()
            case ["memory"]:
                answer = {"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
            case ["quit"]:
                break
            case _:
                answer = {"error": f"expected 'step N', 'info', 'memory' or 'quit', found {line.strip()!r}"}
        print(json.dumps(answer), flush=True)


main()
