"""What the model sees of a flight; shared by training, evaluation and serving."""

import pandas as pd

CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = [
    "day",
    "hour",
    "minute",
    "sched_dep_time",
    "sched_arr_time",
    "distance",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
]
COLUMNS = [*NUMBERS, *CATEGORIES]


def frame(rows) -> pd.DataFrame:
    """The prepared flights as the model's columns, in order."""
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table[NUMBERS] = table[NUMBERS].apply(pd.to_numeric)
    table[CATEGORIES] = table[CATEGORIES].astype("object").where(table[CATEGORIES].notna(), None)
    return table
