#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""registry.py DIR: a registry that serves the OCI archives in DIR, for a runtime that cannot import one.

Prints its port.  "localhost/a/b:1" of an archive is "a/b:1" here."""
import http.server
import json
import re
import sys
import tarfile
from pathlib import Path


def find(where: Path, name: str, ref: str) -> tuple[bytes, str] | None:
    """A manifest by tag or digest, or a blob by digest: its bytes and media type."""
    for path in sorted(where.glob("*.tar")):
        with tarfile.open(path) as tar:
            manifests = json.load(tar.extractfile("index.json"))["manifests"]
            for m in manifests:
                if m["annotations"].get("io.containerd.image.name") == f"localhost/{name}:{ref}":
                    ref = m["digest"]
            try:
                data = tar.extractfile("blobs/" + ref.replace(":", "/")).read()
            except KeyError:
                continue
            return data, next((m["mediaType"] for m in manifests if m["digest"] == ref), media_type(data))
    return None


def media_type(data: bytes) -> str:
    """Of what is not named in an archive's index: the manifests that an index of several lists say it themselves."""
    try:
        return json.loads(data)["mediaType"] if data.startswith(b"{") else "application/octet-stream"
    except (KeyError, ValueError):
        return "application/octet-stream"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        m = re.fullmatch(r"/v2/(?:(.+)/(?:manifests|blobs)/([^/]+))?", self.path)
        found = (b"{}", "application/json") if m and not m[1] else m and find(Path(sys.argv[1]), m[1], m[2])
        data, media = found or (b"", "application/json")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *_) -> None:
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
