#!/bin/sh
# The entry point of a job: finds a Python and hands over to boot.py. ContainerEntrypoint takes 256 characters.
here=$(cd "$(dirname "$0")" && pwd)
for name in python3 python; do
    if command -v "$name" >/dev/null 2>&1; then exec "$name" "$here/boot.py"; fi
done
reason="the image has no python3; cloudops runs steps with Python 3.9 or later"
echo "[cloudops] error: $reason" >&2
mkdir -p "$here/../../../output" && echo "$reason" >"$here/../../../output/failure"
exit 127
