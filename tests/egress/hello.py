# SPDX-License-Identifier: Apache-2.0
"""TLS hellos, real ones and ones that no client sends."""
import ssl
import struct

SERVER_NAME, ECH, ESNI = 0, 0xFE0D, 0xFFCE


def real(name: str | None) -> bytes:
    """The record that OpenSSL sends for @name; without a server name if that is None."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(into, out, server_hostname=name)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack("!HH", kind, len(data)) + data


def name_list(*names: bytes, kind: int = 0) -> bytes:
    entries = b"".join(struct.pack("!BH", kind, len(n)) + n for n in names)
    return struct.pack("!H", len(entries)) + entries


def message(*extensions: bytes, tail: bytes = b"") -> bytes:
    """A ClientHello as a handshake message."""
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    if extensions:
        rest = b"".join(extensions)
        body += struct.pack("!H", len(rest)) + rest
    body += tail
    return b"\x01" + struct.pack("!I", len(body))[1:] + body


def record(data: bytes, kind: int = 22, version: int = 0x0301) -> bytes:
    return struct.pack("!BHH", kind, version, len(data)) + data


def named(*names: str) -> bytes:
    return record(message(extension(SERVER_NAME, name_list(*(n.encode() for n in names)))))


CHANGE = record(b"\x01", 20)
DATA = record(b"x" * 40, 23)


def table(name: str, other: str) -> list[tuple[str, bytes, str]]:
    """What it is, the bytes, and the word of the refusal, "" if they pass; @name is that of CONNECT."""
    good = message(extension(SERVER_NAME, name_list(name.encode())))
    sni = extension(SERVER_NAME, name_list(name.encode()))
    return [
        ("OpenSSL's hello", real(name), ""),
        ("the name in capitals", named(name.upper()), ""),
        ("other extensions around the name", record(message(extension(43, b"\x02\x03\x04"), sni, extension(10, b"\x00\x02\x00\x1d"))), ""),
        ("a hello in records of one byte each", b"".join(record(good[i:i + 1]) for i in range(len(good))), ""),
        ("a hello in two records", record(good[:20]) + record(good[20:]), ""),
        ("early data behind it", record(good) + CHANGE + DATA, ""),
        ("another hello with the same name", record(good) + CHANGE + record(good), ""),
        ("OpenSSL's hello for another host", real(other), "sni"),
        ("OpenSSL's hello without a name", real(None), "no-sni"),
        ("no extension at all", record(message()), "no-sni"),
        ("a name below the allowed one", named("x." + name), "sni"),
        ("a name with the allowed one before it", named(name + ".evil"), "sni"),
        ("a dot behind the name", named(name + "."), "sni"),
        ("an empty name", named(""), "sni"),
        ("a NUL in the name", named(name + "\0.evil"), "sni"),
        ("two names in one list", named(name, other), "sni"),
        ("two lists of names", record(message(sni, extension(SERVER_NAME, name_list(other.encode())))), "sni"),
        ("the same list twice", record(message(sni, sni)), "sni"),
        ("a name of another kind", record(message(extension(SERVER_NAME, name_list(name.encode(), kind=1)))), "sni"),
        ("bytes behind the list of names", record(message(extension(SERVER_NAME, name_list(name.encode()) + b"x"))), "sni"),
        ("an address for a name", named("127.0.0.1"), "sni"),
        ("an encrypted hello", record(message(sni, extension(ECH, b"\x00" * 40))), "ech"),
        ("... before the name", record(message(extension(ECH, b""), sni)), "ech"),
        ("an encrypted name of the drafts", record(message(sni, extension(ESNI, b"x"))), "ech"),
        ("bytes behind the extensions", record(message(sni, tail=b"x")), "not-tls"),
        ("an extension longer than the list", record(message(sni[:-1])), "not-tls"),
        ("another message behind the hello", record(good + b"\x01\x00\x00\x00"), "not-tls"),
        ("an empty record in between", record(good[:20]) + record(b"") + record(good[20:]), "not-tls"),
        ("another record in between", record(good[:20]) + CHANGE + record(good[20:]), "not-tls"),
        ("a hello of SSL 2", b"\x80\x2e\x01\x00\x02" + bytes(40), "not-tls"),
        ("a ServerHello", record(b"\x02" + good[1:]), "not-tls"),
        ("a length without end", record(b"\x01\xff\xff\xff" + good[4:]), "not-tls"),
        ("plain HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not-tls"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "not-tls"),
        ("an alert", record(b"\x01\x00", 21), "not-tls"),
        ("another hello for another host", record(good) + named(other), "sni"),
        ("... behind change_cipher_spec", record(good) + CHANGE + named(other), "sni"),
        ("... behind two of them", record(good) + CHANGE + CHANGE + named(other), "sni"),
        ("... without a name", record(good) + CHANGE + record(message()), "no-sni"),
        ("... in records of one byte each", record(good) + b"".join(record(named(other)[5:][i:i + 1]) for i in range(len(named(other)) - 5)), "sni"),
        ("a change_cipher_spec of two bytes", record(good) + record(b"\x01\x01", 20) + named(other), "not-tls"),
        ("an empty record behind the hello", record(good) + record(b"") + named(other), "not-tls"),
    ]
