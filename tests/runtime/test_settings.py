from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudops.runtime import settings
from cloudops.runtime.errors import Problem
from cloudops.runtime.settings import read


def test_defaults() -> None:
    given = read({})
    assert (given.host, given.port, given.model_dir) == ("127.0.0.1", 8080, Path("/opt/ml/model"))
    assert (given.name, given.version, given.server) == ("model", "1", "auto")
    assert (given.max_payload, given.shutdown_grace, given.capture_sample) == (26214400, 25.0, 1.0)
    assert (given.predictor, given.ready_file, given.capture_dir) == (None, None, None)
    assert given.capture_limit == 2**30
    assert given.threads >= 8
    assert given.health_route == "/v1/endpoints/*/deployedModels/*"
    assert given.predict_route == "/v1/endpoints/*/deployedModels/*:predict"


@pytest.mark.parametrize(("cloud", "host"), [("local", "127.0.0.1"), ("", "127.0.0.1"), ("vertex", "0.0.0.0")])
def test_where_to_listen(cloud: str, host: str) -> None:
    assert read({"CLOUDOPS_CLOUD": cloud}).host == host
    assert read({"CLOUDOPS_CLOUD": cloud, "CLOUDOPS_HOST": "::1"}).host == "::1"


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"CLOUDOPS_MODEL_DIR": "/a", "AIP_STORAGE_URI": "/b", "AZUREML_MODEL_DIR": "/c"}, "/a"),
        ({"AIP_STORAGE_URI": "/b", "AZUREML_MODEL_DIR": "/c"}, "/b"),
        ({"AIP_STORAGE_URI": "gs://b/m", "AZUREML_MODEL_DIR": "/c"}, "/c"),
        ({"AIP_STORAGE_URI": "gs://b/m"}, "/opt/ml/model"),
    ],
)
def test_where_the_model_is(environ: dict[str, str], folder: str) -> None:
    assert read(environ).model_dir == Path(folder)


def test_vertex() -> None:
    given = read({"AIP_HTTP_PORT": "9000", "AIP_ENDPOINT_ID": "12", "AIP_DEPLOYED_MODEL_ID": "34"})
    assert given.port == 9000
    assert given.predict_route == "/v1/endpoints/12/deployedModels/34:predict"
    given = read({"AIP_HTTP_PORT": "9000", "CLOUDOPS_PORT": "0", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p"})
    assert (given.port, given.health_route, given.predict_route) == (0, "/h", "/p")


def test_the_predictor_may_be_in_the_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "predictor.py").touch()
    environ = {"CLOUDOPS_MODEL_DIR": "model", "CLOUDOPS_PREDICTOR": "predictor.py"}
    assert read(environ).predictor == tmp_path / "model" / "predictor.py"
    (tmp_path / "predictor.py").touch()
    assert read(environ).predictor == tmp_path / "predictor.py"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CLOUDOPS_PORT", "65536", "a whole number from 0 to 65535"),
        ("CLOUDOPS_PORT", "-1", "a whole number from 0 to 65535"),
        ("CLOUDOPS_PORT", "80.5", "a whole number from 0 to 65535"),
        ("AIP_HTTP_PORT", "x", "a whole number from 0 to 65535"),
        ("CLOUDOPS_MAX_PAYLOAD", "0", "a whole number of at least 1"),
        ("CLOUDOPS_MAX_PAYLOAD", "25MB", "a whole number of at least 1"),
        ("CLOUDOPS_THREADS", "0", "a whole number of at least 1"),
        ("CLOUDOPS_CAPTURE_SAMPLE", "1.1", "a number from 0 to 1"),
        ("CLOUDOPS_CAPTURE_SAMPLE", "nan", "a number from 0 to 1"),
        ("CLOUDOPS_CAPTURE_LIMIT", "1GiB", "a whole number of at least 1"),
        ("CLOUDOPS_SHUTDOWN_GRACE", "inf", "a number of at least 0"),
        ("CLOUDOPS_SERVER", "gunicorn", "auto or std"),
        ("CLOUDOPS_MODEL_VERSION", "v1\r\nx: y", "printable ASCII"),
    ],
)
def test_a_wrong_value(name: str, value: str, expected: str) -> None:
    with pytest.raises(Problem) as caught:
        read({name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}; expected {expected}")


def test_the_request_key() -> None:
    assert read({}).request_key is read({"CLOUDOPS_REQUEST_KEY": ""}).request_key is None
    given = read({"CLOUDOPS_REQUEST_KEY": "s3cret"})
    assert given.request_key == "s3cret"
    assert "s3cret" not in repr(given)
    for wrong in ("sécret", "s3cret\n", " s3cret"):
        with pytest.raises(Problem, match="CLOUDOPS_REQUEST_KEY must be printable ASCII") as caught:
            read({"CLOUDOPS_REQUEST_KEY": wrong})
        assert "cret" not in str(caught.value)


def test_every_variable_is_documented() -> None:
    source = Path(settings.__file__).read_text()
    documentation, code = source.split('"""', 2)[1:]
    names = set(re.findall(r'"((?:CLOUDOPS|AIP|AZUREML)_[A-Z_]+)"', code))
    assert names
    assert {name for name in names if f"``{name}``" not in documentation} == set()
