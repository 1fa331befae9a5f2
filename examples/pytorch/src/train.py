"""A small network on handwritten digits that goes on from its checkpoint when it was interrupted."""

import argparse
import os
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from cloudops.runtime import log_metric

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--lr", type=float, required=True)
arguments = parser.parse_args()

torch.manual_seed(0)
digits = load_digits()
X, y = torch.tensor(digits.data, dtype=torch.float32), torch.tensor(digits.target)
order = torch.randperm(len(X))
train, test = order[:1400], order[1400:]

model = nn.Sequential(nn.BatchNorm1d(64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
checkpoint = Path(os.environ["CLOUDOPS_CHECKPOINT_DIR"]) / "last.pt"
first = 0
if checkpoint.exists():
    state = torch.load(checkpoint)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    first = state["epoch"] + 1
    print(f"goes on from epoch {first}")

for epoch in range(first, arguments.epochs):
    for batch in train[torch.randperm(len(train))].split(64):
        loss = nn.functional.cross_entropy(model(X[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    log_metric("loss", loss.item(), step=epoch)
    log_metric("accuracy", (model(X[test]).argmax(1) == y[test]).float().mean().item(), step=epoch)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
    torch.save(state, checkpoint.with_suffix(".tmp"))
    checkpoint.with_suffix(".tmp").replace(checkpoint)

torch.jit.trace(model.eval(), X[:1]).save(str(Path(os.environ["CLOUDOPS_MODEL_DIR"]) / "model.pt"))
