"""A job of the contracts: does what its first argument names. Copied into the project, so it imports what a job may."""

# ruff: noqa: T201 - what a job prints is its log

from __future__ import annotations

import glob
import hashlib
import json
import os
import socket
import sys
import time
from typing import Any

from cloudops.runtime import log_metric


def say(**found: Any) -> None:
    """Tell the test, in a line that it finds in the log."""
    print("[contract] " + json.dumps(found), flush=True)


def nothing() -> None:
    """End at once."""


def dump(*arguments: str) -> None:
    """Tell what was given; of secrets only their digests. Writes to every folder that a job may write to."""
    names = [key for key in os.environ if key.startswith("CONTRACT_") and "SECRET" in key]
    secrets = {key: hashlib.sha256(os.environ[key].encode()).hexdigest() for key in names}
    given = {key: value for key, value in os.environ.items() if key.startswith(("CLOUDOPS_", "CONTRACT_"))}
    say(arguments=arguments, params=json.loads(os.environ["CLOUDOPS_PARAMS"]), environ=given, secrets=secrets)
    for key in ("MODEL_DIR", "OUTPUT_DIR", "CHECKPOINT_DIR"):
        with open(os.path.join(os.environ["CLOUDOPS_" + key], "probe"), "w", encoding="utf-8"):
            pass


def leak(name: str) -> None:
    """Print a secret, and fail with it in the message."""
    print("the secret is", os.environ[name], flush=True)
    raise ValueError(f"refused with {os.environ[name]}")


def files(*paths: str) -> None:
    """Tell what is in the files at or below ``paths``."""
    say(files=[{os.path.relpath(one, path): _text(one) for one in _below(path)} for path in paths])


def _below(path: str) -> list[str]:
    found = glob.glob(os.path.join(glob.escape(path), "**"), recursive=True) if os.path.isdir(path) else [path]
    return [one for one in found if os.path.isfile(one)]


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def produce(folder: str, text: str) -> None:
    """Write two files below an output."""
    os.makedirs(os.path.join(folder, "deeper"), exist_ok=True)
    for name in ("table.csv", os.path.join("deeper", "table.csv")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


def model(scale: str) -> None:
    """Make a model for ``predictor.py``."""
    log_metric("score", float(scale) / 10)
    with open(os.path.join(os.environ["CLOUDOPS_MODEL_DIR"], "model.json"), "w", encoding="utf-8") as file:
        json.dump({"scale": float(scale)}, file)


def metrics() -> None:
    """Log two metrics, one of them with steps."""
    for step in range(5):
        log_metric("loss", 1.0 / (step + 1), step=step)
    log_metric("accuracy", 0.9375)


def lines() -> None:
    """Print what is hard to read: split lines and characters, bytes that are no text, a long line, no last end."""
    for number in range(500):
        print("line", number)
    print("unicode: é ü 漢字 🎈")
    sys.stdout.flush()
    for part in (b"half a line, ", b"half a \xc3", b"\xa9\n", b"not \xff UTF-8\n", b"l" * 50_000 + b"\n"):
        os.write(1, part)
        time.sleep(0.1)
    print("to standard error", file=sys.stderr)
    os.write(1, b"the last line has no end")


def slow_lines() -> None:
    """Print a line, and another one later."""
    print("first", flush=True)
    time.sleep(1.5)
    print("last", flush=True)


def much(megabytes: str) -> None:
    """Print so many megabytes, and a last line."""
    line = "x" * 99 + "\n"
    for _ in range(int(float(megabytes) * 10_000)):
        sys.stdout.write(line)
    print("the end of it")


def sleep(seconds: str) -> None:
    """Say so and sleep."""
    print("asleep", flush=True)
    time.sleep(float(seconds))


def tick() -> None:
    """Print a line ten times a second, until something ends it."""
    for number in range(6000):
        print("tick", number, flush=True)
        time.sleep(0.1)


def fail() -> None:
    """End with an exception."""
    print("about to fail", flush=True)
    raise ValueError("the data is upside down")


def leave(code: str) -> None:
    """End with an exit code."""
    sys.exit(int(code))


def resume(first: str = "fail") -> None:
    """Write a checkpoint and fail (or sleep, until something interrupts it); go on from it the next time."""
    path = os.path.join(os.environ["CLOUDOPS_CHECKPOINT_DIR"], "state.json")
    if os.path.exists(path):
        say(resumed=json.loads(_text(path))["step"])
        return
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"step": 3}, file)
    if first == "sleep":
        sleep("600")
    sys.exit(3)


def ranks() -> None:
    """Let every other rank talk to rank 0, and tell what each heard."""
    rank, world = int(os.environ["CLOUDOPS_RANK"]), int(os.environ["CLOUDOPS_WORLD_SIZE"])
    address = os.environ["CLOUDOPS_MASTER_ADDR"], int(os.environ["CLOUDOPS_MASTER_PORT"])
    say(rank=rank, world=world, heard=_as_master(address[1], world) if rank == 0 else _as_worker(address, rank))


def _as_master(port: int, world: int) -> list[str]:
    heard = []
    with socket.create_server(("", port)) as server:
        server.settimeout(60)
        for _ in range(world - 1):
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(100).decode())
                connection.sendall(b"hello from 0")
    return sorted(heard)


def _as_worker(address: tuple[str, int], rank: int) -> list[str]:
    for _ in range(300):
        try:
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(f"hello from {rank}".encode())
                return [connection.recv(100).decode()]
        except OSError:
            time.sleep(0.1)
    sys.exit(f"rank 0 does not answer at {address}")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
