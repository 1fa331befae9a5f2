"""Writes the pages that follow from code: ``python docs/generate.py``. A test fails where a page is not up to date."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.provider import Capability, Support
from cloudops.registry import load, provider_info

HERE = Path(__file__).parent
PROVIDERS = ("local", "sagemaker", "vertex")


def pages() -> dict[Path, str]:
    """Each generated page with its text."""
    return {
        HERE / "capabilities.md": capabilities(),
        HERE / "sagemaker-policy.md": sagemaker_policy(),
        HERE / "vertex-policy.md": vertex_policy(),
    }


def capabilities() -> str:
    """What every provider declares, as a table and as reasons."""
    declared = {name: _declared(name) for name in PROVIDERS}
    lines = [
        "# Capabilities",
        "",
        "What each provider declares, written by `docs/generate.py`; `cloudops providers NAME` shows the same. A field",
        "that asks for what is not there is refused before anything is created. What each word means is in",
        "[Writing a provider](providers.md).",
        "",
        f"| capability | {' | '.join(PROVIDERS)} |",
        f"|---|{'---|' * len(PROVIDERS)}",
    ]
    for capability in Capability:
        cells = " | ".join(_cell(declared[name][capability]) for name in PROVIDERS)
        lines.append(f"| `{capability}` | {cells} |")
    for name in PROVIDERS:
        lines += ["", f"## {name}", "", *_reasons(declared[name])]
    return "\n".join([*lines, ""])


def sagemaker_policy() -> str:
    """The permissions that the SageMaker provider needs, for an account that nobody has."""
    from cloudops_sagemaker.policy import CALLS, policy

    account, region = "123456789012", "us-east-1"
    values = {
        "partition": "aws",
        "account": account,
        "region": region,
        "role": f"arn:aws:iam::{account}:role/cloudops-sagemaker",
        "bucket": f"sagemaker-{region}-{account}",
        "prefix": "cloudops",
    }
    lines = [
        "# Permissions on SageMaker",
        "",
        "Written by `docs/generate.py` from the table of the calls that the provider makes, for one account, region,",
        "bucket and prefix. `python -m cloudops_sagemaker.policy ACCOUNT REGION ROLE [BUCKET] [PREFIX]` prints yours,",
        "with `--role` those of the role. [The SageMaker provider](sagemaker.md) says what they are for.",
        "",
        "## Whoever runs cloudops",
        "",
        *_json(policy(values)),
        "",
        "Without these calls goes:",
        "",
        *(f"- `{call}`: {need.optional}" for call, need in CALLS.items() if need.optional),
        "",
        "## The role of jobs and endpoints",
        "",
        "It trusts `sagemaker.amazonaws.com`. Inputs in other buckets need the first two statements, too.",
        "",
        *_json(policy(values, of_role=True)),
    ]
    return "\n".join([*lines, ""])


def vertex_policy() -> str:
    """The custom roles that the Vertex AI provider needs."""
    from cloudops_vertex.policy import BESIDE, CALLS, JOB, role

    needs = [*CALLS.values(), *BESIDE]
    lines = [
        "# Permissions on Google Cloud",
        "",
        "Written by `docs/generate.py` from the table of the calls that the provider makes. Each is a",
        "custom role: `python -m cloudops_vertex.policy [--job] > role.json`, then `gcloud iam roles create cloudops",
        "--project PROJECT --file role.json`. [The Vertex AI provider](vertex.md) says what they are for.",
        "",
        "## Whoever runs cloudops",
        "",
        *_json(role()),
        "",
        "Without these goes:",
        "",
        *_optional(needs),
        "",
        "## The service account of jobs",
        "",
        *_json(role(of_job=True)),
        "",
        "Without these goes:",
        "",
        *_optional(JOB),
    ]
    return "\n".join([*lines, ""])


def _optional(needs: Any) -> list[str]:
    found = {permission: need.optional for need in needs if need.optional for permission in need.permissions}
    return [f"- `{permission}`: {what}" for permission, what in sorted(found.items())]


def _json(value: object) -> list[str]:
    return ["```json", *json.dumps(value, indent=1).splitlines(), "```"]


def _declared(name: str) -> Mapping[Capability, Support]:
    """As on a machine without a GPU, so that the page is the same wherever it is written."""
    info = provider_info(name)
    path, os.environ["PATH"] = os.environ.get("PATH", ""), ""
    try:
        found: Mapping[Capability, Support] = load(info, info.capabilities)()
        return found
    finally:
        os.environ["PATH"] = path


def _cell(support: Support) -> str:
    if not support.ok:
        return "no"
    return "yes, see below" if support.reason else "yes"


def _reasons(declared: Mapping[Capability, Support]) -> list[str]:
    found = []
    for capability, support in declared.items():
        hint = f"; {support.hint}" if support.hint else ""
        if support.reason:
            found.append(f"- `{capability}`{'' if support.ok else ', no'}: {support.reason}{hint}")
    return found


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
