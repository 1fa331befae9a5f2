"""All dialects and what they refuse, through real processes of both servers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .rig import SERVERS, Running, serving

INFER = "/v2/models/flights/infer"
ROWS = [[1, 2], [3, 4]]
VERTEX = {
    "AIP_HEALTH_ROUTE": "/custom/health",
    "AIP_PREDICT_ROUTE": "/custom/predict",
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("größe serving")
    settings = {"CLOUDOPS_MODEL_NAME": "flights", "CLOUDOPS_MODEL_VERSION": "v7", "CLOUDOPS_MAX_PAYLOAD": 100_000}
    with serving(folder, request.param, **settings) as running:
        yield running


def test_the_server_that_was_asked_for(server: Running, request: pytest.FixtureRequest) -> None:
    expected = {"auto": "uvicorn", "std": "http.server"}[request.node.callspec.params["server"]]
    assert f"({expected})" in server.log()


# --- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/invocations", "/score", "/v1/endpoints/1/deployedModels/2:predict", "/invocations/"]
)
@pytest.mark.parametrize("body", [{"instances": ROWS}, ROWS, {"instances": ROWS, "parameters": {}}])
def test_json(server: Running, path: str, body: object) -> None:
    answer = server.request("POST", path, body)
    assert (answer.status, answer.json()) == (200, {"predictions": [6, 14]})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-cloudops-version"] == "v7"


def test_a_query_and_no_content_type(server: Running) -> None:
    answer = server.request("POST", "/invocations?a=b&c=%20", json.dumps(ROWS).encode())
    assert answer.json() == {"predictions": [6, 14]}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": [{"a": 1}, {"a": 2}]},
        {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}},
        {"input_data": {"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}},
        {"input_data": [{"a": 1}, {"a": 2}]},
    ],
)
def test_other_spellings_of_a_table(server: Running, body: object) -> None:
    assert server.request("POST", "/score", body).json() == {"predictions": [{"a": 2}, {"a": 4}]}


def test_csv_in_and_out(server: Running) -> None:
    answer = server.request("POST", "/invocations", b"1,2\n3,4.5\n", content_type="text/csv", accept="text/csv")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/csv", b"6\n15.0\n")


def test_csv_with_a_header(server: Running) -> None:
    body = "größe,b\n1,2\n".encode()
    answer = server.request("POST", "/invocations", body, content_type="text/csv; header=present; charset=utf-8")
    assert answer.json() == {"predictions": [{"größe": 2, "b": 4}]}


def test_npy_in_and_out(server: Running) -> None:
    sink = io.BytesIO()
    np.save(sink, np.array([[1.5, 2], [3, 4]], dtype="float32"))
    kind = "application/x-npy"
    answer = server.request("POST", "/invocations", sink.getvalue(), content_type=kind, accept=kind)
    assert answer.headers["content-type"] == kind
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.body)), [7.0, 14.0])


def test_no_nan_in_json(server: Running) -> None:
    answer = server.request("POST", "/invocations", [{"mode": "nan"}] * 3)
    assert answer.json() == {"predictions": [None, None, 1.5]}


def test_unicode(server: Running) -> None:
    value = "漢字 🎉 \u2028"
    answer = server.request("POST", "/invocations", [{"mode": "echo", "value": value}])
    assert answer.json() == {"predictions": [value]}


# --- Open Inference Protocol -----------------------------------------------------------------------------------------


def tensor(data: object, shape: list[int], datatype: str = "FP32", name: str = "x") -> dict[str, object]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


@pytest.mark.parametrize("path", [INFER, "/v2/models/flights/versions/v7/infer"])
@pytest.mark.parametrize("data", [[1, 2, 3, 4], ROWS])
def test_open_inference(server: Running, path: str, data: object) -> None:
    answer = server.request("POST", path, {"id": "mine", "inputs": [tensor(data, [2, 2])]})
    assert answer.json() == {
        "id": "mine",
        "model_name": "flights",
        "model_version": "v7",
        "outputs": [{"name": "predictions", "shape": [2], "datatype": "FP64", "data": [6.0, 14.0]}],
    }


def test_open_inference_with_columns(server: Running) -> None:
    inputs = [tensor([1, 2], [2], "INT64", "a"), tensor([[0.5], [1.5]], [2, 1], "FP64", "b")]
    body = {"inputs": inputs, "outputs": [{"name": "b"}]}
    assert server.request("POST", INFER, body).json()["outputs"] == [
        {"name": "b", "shape": [2], "datatype": "FP64", "data": [1.0, 3.0]}
    ]
    unknown = server.request("POST", INFER, {"inputs": inputs, "outputs": [{"name": "c"}]})
    assert (unknown.status, unknown.error) == (400, "there is no output 'c'; there are a, b")


def test_open_inference_metadata(server: Running) -> None:
    assert server.request("GET", "/v2").json() == {"name": "cloudops", "version": "2.0", "extensions": []}
    for path in ("/v2/models/flights", "/v2/models/flights/versions/v7"):
        metadata = server.request("GET", path).json()
        assert metadata["name"] == "flights"
        assert metadata["versions"] == ["v7"]
        assert metadata["platform"] == "predictor"
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/flights/ready"):
        assert server.request("GET", path).status == 200
    assert server.request("GET", "/v2/models/other").status == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "the body must be an object with 'inputs'"),
        ({}, "'inputs' must be a list of at least one tensor"),
        ({"inputs": [{}]}, "tensor 0 of 'inputs' must be an object with a 'name'"),
        ({"inputs": [tensor([1], [1], "FP8")]}, "the tensor 'x' has datatype 'FP8'; expected one of BOOL, INT8"),
        ({"inputs": [tensor([1], [0])]}, "must have a 'shape', a list of positive numbers"),
        ({"inputs": [tensor([1, 2, 3], [2, 2])]}, "the tensor 'x' has shape [2, 2], and its data 3 values"),
        ({"inputs": [tensor([[1, 2]], [2, 1])]}, "the tensor 'x' has shape [2, 1], and its data shape [1, 2]"),
        ({"inputs": [tensor([[1], [2, 3]], [3])]}, "the 'data' of the tensor 'x' is ragged"),
        ({"inputs": [tensor([1.5], [1], "INT8")]}, "the tensor 'x' is INT8 and holds '1.5'"),
        ({"inputs": [tensor([128], [1], "INT8")]}, "the tensor 'x' is INT8, which cannot hold 128"),
        ({"inputs": [tensor([-1], [1], "UINT64")]}, "the tensor 'x' is UINT64, which cannot hold -1"),
        ({"inputs": [tensor([70000.0], [1], "FP16")]}, "the tensor 'x' is FP16, which cannot hold 70000.0"),
        ({"inputs": [tensor([10**400], [1], "FP64")]}, "the tensor 'x' is FP64, which cannot hold 1000"),
        ({"inputs": [tensor([1], [1], "BOOL")]}, "the tensor 'x' is BOOL and holds '1'"),
        ({"inputs": [tensor([True], [1], "INT8")]}, "the tensor 'x' is INT8 and holds 'True'"),
        ({"inputs": [tensor([1], [1], "BYTES")]}, "the tensor 'x' is BYTES and holds '1'"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}, "binary tensors are not supported"),
        ({"inputs": [tensor([1], [1]), tensor([1], [1])]}, "two tensors of 'inputs' have the same name"),
        ({"inputs": [tensor([1], [1]), tensor([1, 2], [2], name="y")]}, "the tensor 'y' has 2 rows and 'x' has 1"),
    ],
)
def test_a_wrong_tensor(server: Running, body: object, message: str) -> None:
    answer = server.request("POST", INFER, body)
    assert answer.status == 400
    assert message in answer.error


# --- health and metrics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/ping", "/", "/livez", "/readyz", "/v1/endpoints/x/deployedModels/y", "/v2/health/live"]
)
def test_health(server: Running, path: str) -> None:
    assert server.request("GET", path).status == 200
    head = server.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")


def test_vertex_routes_as_configured(tmp_path: Path) -> None:
    with serving(tmp_path, "std", **VERTEX) as running:
        assert running.request("GET", "/custom/health").status == 200
        assert running.request("POST", "/custom/predict", {"instances": ROWS}).json() == {"predictions": [6, 14]}
        assert running.request("POST", "/invocations", ROWS).status == 200


SAMPLE = re.compile(r'([a-z_]+)\{([a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*)\} (\S+)')


def scrape(server: Running) -> dict[tuple[str, str], float]:
    """The metrics, checked line by line against the exposition format."""
    answer = server.request("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples, kinds = {}, {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert re.sub("_(bucket|sum|count)$", "", name) in kinds or name in kinds
            samples[name, labels] = float(value)
    assert answer.body.endswith(b"\n")
    return samples


def test_metrics(server: Running) -> None:
    common = 'model="flights",version="v7"'
    route = f'{common},route="/score"'
    before = scrape(server)
    server.request("POST", "/score", ROWS)
    server.request("POST", "/score", [{"mode": "fail"}])
    server.request("POST", "/score", b"{")
    after = scrape(server)

    def grown(name: str, labels: str) -> float:
        return after[name, labels] - before.get((name, labels), 0)

    for status in ("200", "400", "500"):
        assert grown("cloudops_requests_total", f'{route},status="{status}"') == 1
    assert grown("cloudops_request_errors_total", route) == 1
    assert grown("cloudops_request_seconds_count", route) == 3
    assert grown("cloudops_request_seconds_bucket", f'{route},le="+Inf"') == 3
    assert 0 < grown("cloudops_request_seconds_sum", route) < 3
    buckets = [value for (name, labels), value in after.items() if name.endswith("_bucket") and route in labels]
    assert buckets == sorted(buckets)
    assert after["cloudops_requests_in_flight", common] == 1  # this one
    assert after["cloudops_ready", common] == 1


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 50_000, "nested too deeply"),
        (b"9" * 10_000, "the body is not JSON|must be an object"),
        (3, "the body must be an object with 'instances', or a list of rows, not 3"),
        ({}, "the body must have 'instances', a list of rows"),
        ({"instances": 3}, "'instances' must be a list of rows, not 3"),
        ({"instances": []}, "'instances' is empty; send at least one row"),
        ({"instances": {"a": 1}}, "must be a list of rows or have 'columns' and 'data'"),
        ({"instances": [[1]], "input_data": [[1]]}, "are given"),
        ({"instances": [[1], [1, 2]]}, "row 1 has 2 values and row 0 has 1"),
        ({"instances": [[1], {"a": 1}]}, "row 1 is an object and row 0 is a list"),
        ({"instances": [[1], None]}, "row 1 is a single value and row 0 is a list"),
        ({"instances": [[1]], "parameters": [1]}, "'parameters' must be an object"),
        ({"instances": [[1]], "parameters": {"k": 1}}, "this model takes no parameters"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "must be a list of 1 values, one per column"),
        ([{"mode": "refuse"}], "mode must not be 'refuse'"),
    ],
)
def test_a_wrong_body(server: Running, body: object, message: str) -> None:
    answer = server.request("POST", "/invocations", body)
    assert answer.status == 400
    assert re.search(message, answer.error) or message in answer.error


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("fail", "the model failed: KeyError: 'hidden'"),
        ("exit", "the model failed: SystemExit"),
        ("few", "the model returned 1 predictions for 2 rows"),
        ("number", "the model must return a list, one prediction per row; it returned int 7"),
        ("object", "the model failed: TypeError: a builtins.object is nothing that JSON can hold"),
    ],
)
def test_a_model_that_fails(server: Running, mode: str, message: str) -> None:
    answer = server.request("POST", "/invocations", [{"mode": mode}] * 2)
    assert (answer.status, answer.error) == (500, message)
    assert "Traceback" not in answer.body.decode()
    assert server.request("POST", "/invocations", ROWS).status == 200


def test_a_failing_models_traceback_is_in_the_log(server: Running) -> None:
    server.request("POST", "/invocations", [{"mode": "fail"}])
    assert 'raise KeyError("hidden")' in server.log()


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        (
            {"content-type": "image/png"},
            415,
            "content type 'image/png' is not understood; send one of application/json",
        ),
        ({"content-type": "text/csv; charset=klingon"}, 415, "the charset 'klingon' is unknown"),
        ({"content-type": "text/csv; charset=zlib"}, 415, "the charset 'zlib' is unknown"),
        ({"content-type": "text/csv; charset=ascii"}, 400, "the body is not text in ascii"),
        ({"content-type": "application/x-npy"}, 400, "the body is not in the npy format"),
        ({"accept": "image/png"}, 406, "no response can be made as 'image/png'"),
        ({"accept": "application/json;q=0, text/*;q=0"}, None, ""),
    ],
)
def test_a_wrong_medium(server: Running, headers: dict[str, str], status: int | None, message: str) -> None:
    body = "[[1], [2]]  ü".encode() if "ascii" in str(headers) else b"[[1], [2]]"
    answer = server.request("POST", "/invocations", body, **headers)
    if status is None:
        assert answer.status == 406
    else:
        assert (answer.status, message in answer.error) == (status, True), answer.error


def test_predictions_that_are_no_array(server: Running) -> None:
    answer = server.request("POST", "/invocations", [{"mode": "echo", "value": "x"}], accept="application/x-npy")
    assert (answer.status, "accept JSON" in answer.error) == (406, True)


def test_wrong_routes_and_methods(server: Running) -> None:
    missing = server.request("GET", "/nope")
    assert missing.status == 404
    assert missing.error.startswith("there is no /nope; there are /, /invocations")
    for method, path, allowed in [
        ("GET", "/invocations", "POST"),
        ("PUT", "/invocations", "POST"),
        ("POST", "/ping", "GET, HEAD"),
        ("OPTIONS", "/score", "POST"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("PROPFIND", "/invocations", "POST"),
        ("TRACE", "/invocations", "POST"),
    ]:
        answer = server.request(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)
        assert answer.error == f"{path} does not take {method}; it takes {allowed}"


def test_request_ids(server: Running) -> None:
    assert server.request("GET", "/ping", x_request_id="my-id/1").headers["x-request-id"] == "my-id/1"
    for bad in ("with space", "x" * 300, ""):
        given = server.request("GET", "/ping", x_request_id=bad).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", given)


def test_what_is_logged(server: Running) -> None:
    """Requests are counted, not logged; only the model's own failures leave a trace."""
    before = server.log()
    server.request("POST", "/invocations", ROWS)
    server.request("GET", "/nope")
    assert server.log() == before
