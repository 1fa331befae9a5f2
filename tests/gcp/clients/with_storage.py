"""google-cloud-storage: uploads of all kinds, conditions, lists, copies, and logs of google-auth's own session."""

import concurrent.futures
import sys

import google.auth
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage

client = storage.Client()
bucket = client.create_bucket("unmodified-storage")
blob = bucket.blob("a/b.txt")
blob.upload_from_string("one", if_generation_match=0)
first = blob.generation
try:
    bucket.blob("a/b.txt").upload_from_string("two", if_generation_match=0)
    raise SystemExit("an object was replaced that must not exist")
except PreconditionFailed:
    pass
blob.upload_from_string("two", if_generation_match=first)
assert blob.generation > first
assert blob.download_as_text(start=1) == "wo"


def swap(number):
    try:
        bucket.blob("a/b.txt").upload_from_string(str(number), if_generation_match=blob.generation)
    except PreconditionFailed:
        return 0
    return 1


with concurrent.futures.ThreadPoolExecutor(8) as threads:
    assert sum(threads.map(swap, range(8))) == 1

large = bucket.blob("large", chunk_size=256 * 1024)
large.upload_from_string(b"x" * 1_000_000)
assert large.size == 1_000_000
assert bucket.blob("large").download_as_bytes() == b"x" * 1_000_000
bucket.copy_blob(large, bucket, "copy/large")
bucket.blob("both").compose([bucket.blob("large"), bucket.blob("copy/large")])
assert bucket.get_blob("both").size == 2_000_000
assert [one.name for one in client.list_blobs(bucket, prefix="a/")] == ["a/b.txt"]
found = list(client.list_blobs(bucket))
with client.batch():
    for one in found:
        one.delete()
assert not list(client.list_blobs(bucket))
try:
    client.get_bucket("unmodified-none")
    raise SystemExit("a bucket was found that nobody has made")
except NotFound:
    pass
bucket.delete()

credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
session = AuthorizedSession(credentials)
body = {"resourceNames": [f"projects/{project}"], "filter": 'severity>=INFO AND resource.type="global"'}
answer = session.post("https://logging.googleapis.com/v2/entries:list", json=body)
assert answer.status_code == 200, answer.text
refused = session.get("https://bigtable.googleapis.com/v2/projects")
assert refused.status_code == 501, refused.text
assert "not emulated" in refused.json()["error"]["message"], sys.exit(refused.text)
print("storage: all done")
