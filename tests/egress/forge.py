# SPDX-License-Identifier: Apache-2.0
"""HTTPS servers with a handler of their own, and git's own server behind one."""
import http.server
import ssl
import subprocess
import threading
from pathlib import Path


class TlsServer(http.server.ThreadingHTTPServer):
    """An HTTPS server with a handler of its own."""

    def __init__(self, certificate: Path, handler) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def git_handler(project: Path, env: dict[str, str], asked: list[tuple[str, str]]) -> type:
    """Serves the repositories below @project; @asked gets the path and the authorization of each request."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            asked.append((self.path, self.headers.get("Authorization", "")))
            body = b""
            if self.headers.get("Transfer-Encoding") == "chunked":
                while n := int(self.rfile.readline(), 16):
                    body += self.rfile.read(n)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            cgi = {"GIT_PROJECT_ROOT": str(project), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                   "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "x", **env}
            if encoding := self.headers.get("Content-Encoding"):
                cgi["HTTP_CONTENT_ENCODING"] = encoding
            out = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=cgi).stdout
            head, _, answer = out.partition(b"\r\n\r\n")
            fields = dict(x.split(": ", 1) for x in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            for k, v in fields.items():
                self.send_header(k, v)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    return Handler
