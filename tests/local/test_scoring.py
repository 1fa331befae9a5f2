"""Predictions through a router that is killed under them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cloudops_local.layout import Layout
from cloudops_local.scoring import send

from cloudops.engine import service
from cloudops.errors import Unavailable
from cloudops.refs import Ref
from cloudops.session import Session
from cloudops.testing.projects import deployment

SLOW = """
import time
def load(model_dir): return None
def predict(model, instances):
    time.sleep(0.3)
    return [row[0] for row in instances]
"""


def test_open_predictions_survive_their_router(session: Session, root: Path, layout: Layout) -> None:
    (root / "serve" / "predictor.py").write_text(SLOW)
    endpoint = session.deploy(deployment("small"))
    endpoint.wait()
    folder = layout.endpoint("small")
    with ThreadPoolExecutor(4) as pool:
        for number in range(3):
            answers = [pool.submit(endpoint.predict, [[number]]) for _ in range(4)]
            threading.Event().wait(0.15)  # they are open now
            router = service.read(folder).router
            assert router is not None
            os.kill(router, signal.SIGKILL)
            assert [answer.result(30) for answer in answers] == [[number]] * 4


def test_an_endpoint_that_always_hangs_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudops_local.scoring._AGAIN", (0.0, 0.0))
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                accepted.append(client.recv(65536))
                client.close()

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        ref = Ref("local", "x", "endpoints", "e")
        with pytest.raises(Unavailable, match="does not answer"):
            send(ref, url, b"{}", content_type="application/json", version=None, token=None)
        assert len(accepted) == 3
    with pytest.raises(Unavailable):
        send(ref, url, b"{}", content_type="application/json", version=None, token=None)
