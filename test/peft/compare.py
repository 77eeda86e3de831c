"""Loads adapters with Hugging Face PEFT and compares their outputs with those in outputs.safetensors.

In every folder that is named: the two files of the adapter, and outputs.safetensors with x and the expected y. Writes
what PEFT saves again into <folder>/saved. Prints one line of JSON per folder.
"""

import json
import sys
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file


class Identity(torch.nn.Module):
    """The linear layer that an adapter of embeddings adapts: y = x."""

    def __init__(self, d):
        super().__init__()
        self.embedding = torch.nn.Linear(d, d, bias=False)
        torch.nn.init.eye_(self.embedding.weight)

    def forward(self, x):
        return self.embedding(x)


for folder in map(Path, sys.argv[1:]):
    outputs = load_file(folder / "outputs.safetensors")
    x, expected = outputs["x"], outputs["y"]
    model = peft.PeftModel.from_pretrained(Identity(x.shape[1]), folder).eval()
    with torch.no_grad():
        y = model(x)
        model.save_pretrained(folder / "saved")
        merged = model.merge_and_unload()(x)
    print(
        json.dumps(
            {
                "difference": (y - expected).abs().max().item(),
                "differenceMerged": (merged - expected).abs().max().item(),
                "change": (y - x).abs().max().item(),
                "versions": f"peft {peft.__version__}, torch {torch.__version__}",
            }
        )
    )
