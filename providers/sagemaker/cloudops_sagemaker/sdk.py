"""What only the SDK of SageMaker knows; importing this imports it, which takes seconds."""

from __future__ import annotations

from sagemaker.core import image_uris


def image_uri(name: str, version: str, scope: str, region: str, instance_type: str) -> str:
    """The image of a framework with rules of its own, such as ``huggingface``.

    Raises:
        ValueError: there is none; the text lists those that there are.
    """
    base = {}
    if name == "huggingface":
        config = image_uris.config_for_framework(name)[scope]["versions"]
        known: dict[str, object] = next(
            (config[each] for each in (version, *config) if each in config and each.startswith(version)), {}
        )
        bases = [key for key in known if key.startswith("pytorch")]
        base = {"base_framework_version": bases[-1]} if bases else {}
    return str(
        image_uris.retrieve(name, region, version=version, image_scope=scope, instance_type=instance_type, **base)
    )
