"""The machines of one attempt of a training job: a container for each host, with input, settings and checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .containers import ML, Container
from .images import find
from .training_channels import DownloadError, described, fetch
from .training_outputs import Checkpoints
from .warm_pools import CACHE

if TYPE_CHECKING:
    from .region import Region

#: Bytes in a unit of VolumeSizeInGB.
GIB = 1 << 30
_FOLDERS = ("input/config", "input/data", "model", "output/data", "checkpoints")


class Machines:
    """The machines.

    Args:
        region: where.
        name: of the job.
        params: the request.
        folder: of the attempt; the containers are made in it.
        cache: where the files of the job's warm pool lie; None where it has none.
    """

    def __init__(
        self, region: Region, name: str, params: Mapping[str, Any], folder: Path, cache: Path | None = None
    ) -> None:
        self._region, self._name, self._params = region, name, params
        self._cache = cache
        self.folder = folder
        self.image = find(params["AlgorithmSpecification"]["TrainingImage"], region.surroundings.images)
        self.containers: list[Container] = []
        self._checkpoints: Checkpoints | None = None

    @property
    def roots(self) -> list[Path]:
        """The ``/opt/ml`` of each host."""
        return [one.ml for one in self.containers]

    def prepare(self) -> None:
        """Make the containers, with input and checkpoints. Raises OSError, DownloadError."""
        self.containers = self._new_containers()
        self._load_cache()
        for channel in self._params.get("InputDataConfig", []):
            targets = [root / "input" / "data" / channel["ChannelName"] for root in self.roots]
            for target in targets:
                target.mkdir(parents=True, exist_ok=True)
            fetch(self._region, channel, self._params["RoleArn"], targets)
            self._check_volume()
        for one in self.containers:
            self._write_config(one)
        self._checkpoints = self._new_checkpoints()
        if self._checkpoints is not None:
            self._checkpoints.down()

    def save_checkpoints(self, *, partial: bool = False) -> None:
        """Upload the checkpoints that are new. Raises OSError, once."""
        if self._checkpoints is None:
            return
        try:
            self._checkpoints.up(partial=partial)
        except OSError:
            self._checkpoints = None
            raise

    def _check_volume(self) -> None:
        """Have what was downloaded fit the volume; what FastFile reads is not put there."""
        mode = self._params["AlgorithmSpecification"]["TrainingInputMode"]
        channels = self._params["InputDataConfig"]
        names = [one["ChannelName"] for one in channels if one.get("InputMode", mode) != "FastFile"]
        size = self._params["ResourceConfig"]["VolumeSizeInGB"]
        for root in self.roots:
            files = (path for name in names for path in (root / "input" / "data" / name).rglob("*") if path.is_file())
            if sum(path.stat().st_size for path in files) > size * GIB:
                raise DownloadError(
                    f"Data download failed: insufficient disk space. VolumeSizeInGB is {size}; please increase it."
                )

    @property
    def pooled(self) -> bool:
        """Whether they belong to a warm pool."""
        return self._cache is not None

    def save_cache(self) -> None:
        """Leave the files of the warm pool for its next job. Raises OSError."""
        for one in self.containers:
            if self._cache is not None and (one.ml / CACHE).is_dir():
                self._cache.mkdir(parents=True, exist_ok=True)
                (one.ml / CACHE).rename(self._cache / one.host)

    def _load_cache(self) -> None:
        for one in self.containers:
            if self._cache is None:
                return
            place, kept = one.ml / CACHE, self._cache / one.host
            place.parent.mkdir(parents=True, exist_ok=True)
            if kept.is_dir():
                kept.rename(place)
            else:
                place.mkdir()

    def _new_containers(self) -> list[Container]:
        site = self._region.site
        names = [f"algo-{number}" for number in range(1, self._params["ResourceConfig"]["InstanceCount"] + 1)]
        network = site.addresses.network()
        hosts = {name: f"{network}.{number}" for number, name in enumerate(names, 1)}
        made = [Container(self.folder / name, self.image.python, name, site.literal, hosts) for name in names]
        for one in made:
            one.make(_FOLDERS)
        return made

    def _write_config(self, container: Container) -> None:
        resources = self._params["ResourceConfig"]
        names = list(container.hosts)
        group = {"instance_group_name": "homogeneousCluster", "hosts": names}
        mode = self._params["AlgorithmSpecification"]["TrainingInputMode"]
        files: dict[str, dict[str, Any]] = {
            "hyperparameters": dict(self._params.get("HyperParameters", {})),
            "inputdataconfig": described(self._params.get("InputDataConfig", []), mode),
            "resourceconfig": {
                "current_host": container.host,
                "current_instance_type": resources["InstanceType"],
                "current_group_name": "homogeneousCluster",
                "hosts": names,
                "instance_groups": [{**group, "instance_type": resources["InstanceType"]}],
                "network_interface_name": "lo",
            },
        }
        for name, value in files.items():
            path = container.ml / "input" / "config" / f"{name}.json"
            path.write_text(json.dumps(value), encoding="utf-8")

    def _new_checkpoints(self) -> Checkpoints | None:
        config = self._params.get("CheckpointConfig")
        if config is None:
            return None
        path = config.get("LocalPath", f"{ML}/checkpoints")
        folders = [one.outside(path) for one in self.containers]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        return Checkpoints(self._region, config["S3Uri"], folders)
