"""The program in the arguments of a model's container: it fetches inference.py's archive and becomes that.

The archive lies in the model's managed copy, ``AIP_STORAGE_URI``: that is all that a replica's account is sure to be
able to read. What is sent has neither comments nor docstrings, and must not have "$(", which Vertex AI replaces.
https://cloud.google.com/vertex-ai/docs/general/custom-service-account#default-access
"""

import io
import json
import os
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile


def fetched(bucket: str, key: str) -> bytes:
    """The content of an object."""
    metadata = "http://{}/computeMetadata/v1/instance/service-accounts/default/token".format(
        os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    )
    asked = urllib.request.Request(metadata, headers={"Metadata-Flavor": "Google"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        token = json.load(answer)["access_token"]
    url = "{}/storage/v1/b/{}/o/{}?alt=media".format(
        os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com",
        bucket,
        urllib.parse.quote(key, safe=""),
    )
    asked = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return bytes(answer.read())


def main(uri: str) -> None:
    """Unpack the archive, and go on as its ``inference.py``."""
    if sys.version_info < (3, 9):
        sys.exit("[cloudops] error: the image has Python {}; cloudops serves with 3.9 or later".format(sys.version))
    bucket, _, key = uri[len("gs://") :].partition("/")
    for left in range(4, -1, -1):
        try:
            content = fetched(bucket, key.rstrip("/") + "/cloudops.zip")
            break
        except Exception as error:
            if not left:
                sys.exit("[cloudops] error: {}/cloudops.zip cannot be read: {}".format(uri, error))
            time.sleep(2 / (left + 1))
    folder = tempfile.mkdtemp(prefix="cloudops-serving-")
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    os.execv(sys.executable, [sys.executable, os.path.join(folder, "inference.py")])


main(os.environ["AIP_STORAGE_URI"])
