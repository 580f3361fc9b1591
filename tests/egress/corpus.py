# SPDX-License-Identifier: Apache-2.0
"""Requests that two programs could read in two ways, and what is near them and fine."""

GOOD = "good"


def requests(host: str, port: int) -> list[tuple[str, bytes, int, str]]:
    """What it is, the bytes, the status, and the word of the refusal (GOOD: one request reaches the host)."""
    h = f"{host}:{port}"
    url = f"http://{h}"
    inner = f"GET {url}/smuggled HTTP/1.1\r\nHost: {h}\r\n\r\n"

    def get(*fields: str, line: str = f"GET {url}/x HTTP/1.1", body: str = "", host: str = f"Host: {h}") -> bytes:
        lines = [line, *([host] if host else []), *fields]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")

    def post(*fields: str, body: str = "") -> bytes:
        return get(*fields, line=f"POST {url}/x HTTP/1.1", body=body)

    bad, te = (400, "malformed"), "Transfer-Encoding: "
    return [
        ("a plain request", get("Connection: close"), 200, GOOD),
        ("a body with its length", post("Content-Length: 3", "Connection: close", body="abc"), 200, GOOD),
        ("a body in chunks", post(te + "chunked", "Connection: close", body="3\r\nabc\r\n0\r\n\r\n"), 200, GOOD),
        ("a body in chunks, in capitals", post(te + "CHUNKED", "Connection: close", body="00A\r\n0123456789\r\n0\r\n\r\n"), 200, GOOD),
        ("an empty value", get("X:", "Connection: close"), 200, GOOD),
        ("bytes above ASCII in a value", get("X: \xe9", "Connection: close"), 200, GOOD),
        ("HTTP/1.0", get(line=f"GET {url}/x HTTP/1.0"), 200, GOOD),
        ("HTTP/1.0 without Host", get(line=f"GET {url}/x HTTP/1.0", host=""), 200, GOOD),
        # lengths
        ("length and coding", post("Content-Length: 4", te + "chunked", body="0\r\n\r\n" + inner), *bad),
        ("coding and length", post(te + "chunked", "Content-Length: 4", body="0\r\n\r\n" + inner), *bad),
        ("two lengths", post("Content-Length: 0", f"Content-Length: {len(inner)}", body=inner), *bad),
        ("the same length twice", post("Content-Length: 3", "Content-Length: 3", body="abc"), *bad),
        ("two lengths in one field", post("Content-Length: 3, 3", body="abc"), *bad),
        ("a length with a sign", post("Content-Length: +3", body="abc"), *bad),
        ("a negative length", post("Content-Length: -3", body="abc"), *bad),
        ("a length in hexadecimal", post("Content-Length: 0x3", body="abc"), *bad),
        ("a length with a blank inside", post("Content-Length: 1 0", body="abc"), *bad),
        ("an empty length", post("Content-Length:", body="abc"), *bad),
        ("a length without end", post("Content-Length: " + "9" * 30, body="abc"), *bad),
        ("a length with a NUL", post("Content-Length: 3\0", body="abc"), *bad),
        # codings
        ("an unknown coding", post(te + "xchunked", body="0\r\n\r\n"), *bad),
        ("a second coding", post(te + "gzip, chunked", body="0\r\n\r\n"), *bad),
        ("chunked twice", post(te + "chunked, chunked", body="0\r\n\r\n"), *bad),
        ("two fields of codings", post(te + "chunked", te + "identity", body="0\r\n\r\n"), *bad),
        ("identity", post(te + "identity", body=""), *bad),
        ("a quoted coding", post(te + '"chunked"', body="0\r\n\r\n"), *bad),
        ("a blank before the colon", post("Transfer-Encoding : chunked", body="0\r\n\r\n" + inner), *bad),
        ("a tab before the colon", post("Transfer-Encoding\t: chunked", body="0\r\n\r\n" + inner), *bad),
        ("a form feed before the coding", post(te + "\x0bchunked", body="0\r\n\r\n" + inner), *bad),
        ("a coding behind a NUL", post(te + "\0chunked", body="0\r\n\r\n" + inner), *bad),
        ("a folded coding", post("Transfer-Encoding:\r\n chunked", body="0\r\n\r\n" + inner), *bad),
        ("a coding in HTTP/1.0", get(te + "chunked", line=f"POST {url}/x HTTP/1.0", body="0\r\n\r\n"), *bad),
        ("an underscore for the hyphen", post("Transfer_Encoding: chunked", "Content-Length: 0", "Connection: close"), 200, GOOD),
        # chunks
        ("a chunk size with a sign", post(te + "chunked", body="+3\r\nabc\r\n0\r\n\r\n"), *bad),
        ("a chunk size with 0x", post(te + "chunked", body="0x3\r\nabc\r\n0\r\n\r\n"), *bad),
        ("a chunk size with a blank", post(te + "chunked", body="3 \r\nabc\r\n0\r\n\r\n"), *bad),
        ("a chunk extension", post(te + "chunked", body="3;a=b\r\nabc\r\n0\r\n\r\n"), *bad),
        ("a chunk extension with a line end", post(te + "chunked", body="3;\nabc\r\n0\r\n\r\n"), *bad),
        ("an empty chunk size", post(te + "chunked", body="\r\nabc\r\n0\r\n\r\n"), *bad),
        ("a chunk size that overflows", post(te + "chunked", body="1" + "0" * 16 + "3\r\nabc\r\n0\r\n\r\n"), *bad),
        ("a chunk longer than its size", post(te + "chunked", body="3\r\nabcd\r\n0\r\n\r\n"), *bad),
        ("a chunk with a bare line feed", post(te + "chunked", body="3\nabc\n0\n\n"), *bad),
        ("a last chunk with a bare line feed", post(te + "chunked", body="3\r\nabc\r\n0\n\r\n"), *bad),
        ("a trailer", post(te + "chunked", body="3\r\nabc\r\n0\r\nX: y\r\n\r\n"), *bad),
        # line ends
        ("bare line feeds", get().replace(b"\r\n", b"\n"), *bad),
        ("one bare line feed", get("X: y\nZ: z"), *bad),
        ("one bare carriage return", get("X: y\rZ: z"), *bad),
        ("a carriage return too much", get("X: y\r"), *bad),
        ("an empty line before the request", b"\r\n" + get(), *bad),
        ("a NUL in a value", get("X: a\0b"), *bad),
        ("a NUL in a name", get("X\0Y: a"), *bad),
        ("a DEL in a value", get("X: a\x7fb"), *bad),
        ("a folded field", get("X: y\r\n z"), *bad),
        ("a folded first field", get(host=f" Host: {h}"), *bad),
        ("a field without a colon", get("nothing"), *bad),
        ("a field without a name", get(": x"), *bad),
        ("a blank in a name", get("X Y: z"), *bad),
        ("a byte above ASCII in a name", get("X\xe9: z"), *bad),
        # the request line
        ("two blanks", get(line=f"GET  {url}/x HTTP/1.1"), *bad),
        ("a tab for the blank", get(line=f"GET\t{url}/x HTTP/1.1"), *bad),
        ("a blank in the target", get(line=f"GET {url}/x y HTTP/1.1"), *bad),
        ("a blank behind the version", get(line=f"GET {url}/x HTTP/1.1 "), *bad),
        ("no version", get(line=f"GET {url}/x"), *bad),
        ("HTTP/2.0", get(line=f"GET {url}/x HTTP/2.0"), *bad),
        ("HTTP/1.2", get(line=f"GET {url}/x HTTP/1.2"), *bad),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", *bad),
        ("the version in lower case", get(line=f"GET {url}/x http/1.1"), *bad),
        ("a method with a bracket", get(line=f"G[T {url}/x HTTP/1.1"), *bad),
        ("a method without end", get(line=f"{'A' * 60} {url}/x HTTP/1.1"), *bad),
        ("a fragment", get(line=f"GET {url}/x#y HTTP/1.1"), *bad),
        ("a byte above ASCII in the target", get(line=f"GET {url}/\xe9 HTTP/1.1"), *bad),
        ("a hello of TLS", b"\x16\x03\x01\x00\x10" + bytes(16), *bad),
        # hosts
        ("no Host", get(host=""), *bad),
        ("two Hosts", get(f"Host: {h}"), *bad),
        ("two different Hosts", get("Host: evil.test"), *bad),
        ("another Host", get(host="Host: evil.test"), *bad),
        ("an allowed but other Host", get(host=f"Host: packages.test:{port}"), *bad),
        ("the Host with another port", get(host=f"Host: {host}:{port + 1}"), *bad),
        ("the Host without its port", get(host=f"Host: {host}"), *bad),
        ("an empty Host", get(host="Host:"), *bad),
        ("a list of Hosts", get(host=f"Host: {h}, evil.test"), *bad),
        ("a user before the host", get(line=f"GET http://evil@{h}/x HTTP/1.1"), 400, "name-form"),
        ("a user and a password", get(line=f"GET http://a:b@{h}/x HTTP/1.1"), *bad),
        ("the host as a user", get(line=f"GET http://{h}@evil.test/x HTTP/1.1"), *bad),
        ("a backslash behind the host", get(line=f"GET http://{h}\\.evil.test/x HTTP/1.1"), *bad),
        ("a backslash in the host", get(line=f"GET http://evil.test\\@{h}/x HTTP/1.1"), 400, "name-form"),
        ("an encoded host", get(line=f"GET http://ok%2etest:{port}/x HTTP/1.1"), 400, "name-form"),
        ("a query without a path", get(line=f"GET {url}?x HTTP/1.1"), *bad),
        ("an empty host", get(line="GET http:///x HTTP/1.1"), *bad),
        ("an empty port", get(line=f"GET http://{host}:/x HTTP/1.1"), *bad),
        ("a port with a zero before it", get(line=f"GET http://{host}:0{port}/x HTTP/1.1"), *bad),
        ("a port that is too large", get(line=f"GET http://{host}:{port + 65536}/x HTTP/1.1"), *bad),
        ("https, which goes by CONNECT", get(line=f"GET https://{h}/x HTTP/1.1"), *bad),
        ("ftp", get(line=f"GET ftp://{h}/x HTTP/1.1"), *bad),
        ("a target without a scheme", get(line=f"GET {h}/x HTTP/1.1"), *bad),
        ("OPTIONS *", get(line="OPTIONS * HTTP/1.1"), *bad),
        ("the scheme and host in capitals", get("Connection: close", line=f"GET HTTP://{host.upper()}:{port}/x HTTP/1.1"), 200, GOOD),
        ("a dot behind the host, in both", get("Connection: close", line=f"GET http://{host}.:{port}/x HTTP/1.1", host=f"Host: {host}.:{port}"), 200, GOOD),
        # CONNECT
        ("CONNECT with a length", get("Content-Length: 3", line=f"CONNECT {h} HTTP/1.1", body="abc"), *bad),
        ("CONNECT with a coding", get(te + "chunked", line=f"CONNECT {h} HTTP/1.1", body="0\r\n\r\n"), *bad),
        ("CONNECT without a port", get(line=f"CONNECT {host} HTTP/1.1"), *bad),
        ("CONNECT with a URL", get(line=f"CONNECT {url}/ HTTP/1.1"), *bad),
        ("CONNECT with a path", get(line=f"CONNECT {h}/x HTTP/1.1"), *bad),
        ("CONNECT with another Host", get(line=f"CONNECT {h} HTTP/1.1", host="Host: evil.test"), *bad),
        ("connect in lower case", get(line=f"connect {h} HTTP/1.1"), *bad),
        # methods
        ("TRACE", get(line=f"TRACE {url}/x HTTP/1.1"), 403, "request"),
    ]


def answers() -> list[tuple[str, bytes, int]]:
    """What a host may answer, and the status that the client sees; 502 is the broker's own."""
    return [
        ("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        ("an answer without a reason", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200),
        ("... nor the blank before it", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200),
        ("an answer of HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nok", 200),
        ("interim answers", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 103),
        ("no status line", b"ok\r\n\r\n", 502),
        ("HTTP/0.9", b"<html>ok</html>", 502),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502),
        ("length and coding", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
        ("an unknown coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", 502),
        ("bare line feeds", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 502),
        ("a folded field", b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok", 502),
        ("a NUL in a field", b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok", 502),
        ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", 502),
        ("an upgrade that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
        ("a head without end", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000, 502),
        ("more fields than anybody needs", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", 502),
        ("interim answers without end", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 100),
        ("nothing", b"", 502),
    ]
