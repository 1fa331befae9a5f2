"""An HTTPS server on this machine whose authority it writes to the folder that is its argument, as OpenSSL has it."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import sys
from pathlib import Path

import trustme

authority, roots = trustme.CA(), Path(sys.argv[1])
roots.mkdir()
path = roots / "authority.pem"
authority.cert_pem.write_to_path(path)
hashed = subprocess.run(
    ["openssl", "x509", "-hash", "-noout", "-in", path], check=True, capture_output=True, text=True
).stdout.strip()
path.rename(roots / f"{hashed}.0")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("127.0.0.1").configure_cert(context)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
