"""The program in a job's arguments (``python3 -c <this> BUCKET KEY``): it fetches boot.py's archive and becomes that.

From the mounted bucket where that is there, else with a token of the metadata server. What is sent has neither comments
nor docstrings, and must not have "$(", which Vertex AI replaces in arguments.
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
    mounted = "/gcs/{}/{}".format(bucket, key)
    if os.path.isfile(mounted):
        with open(mounted, "rb") as file:
            return file.read()
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


def main(bucket: str, key: str) -> None:
    """Unpack the archive, and go on as its ``boot.py``."""
    if sys.version_info < (3, 9):
        sys.exit("[cloudops] error: the image has Python {}; cloudops runs steps with 3.9 or later".format(sys.version))
    for left in range(4, -1, -1):
        try:
            content = fetched(bucket, key)
            break
        except Exception as error:
            if not left:
                sys.exit("[cloudops] error: gs://{}/{} cannot be read: {}".format(bucket, key, error))
            time.sleep(2 / (left + 1))
    folder = tempfile.mkdtemp(prefix="cloudops-job-")
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    os.execv(sys.executable, [sys.executable, os.path.join(folder, "boot.py")])


main(*sys.argv[1:3])
