"""Record small TLS connections of OpenSSL, of every kind of cipher suite, with their secrets inside the files.

    python captures/recorder/record_tls.py            all of them
    python captures/recorder/record_tls.py NAME...

`openssl s_server -rev` and `openssl s_client` talk over the loopback of a network namespace of its own, tcpdump
records them, and editcap puts the key log into the pcapng. Runs as root on Linux with openssl, tcpdump, unshare, ip
and editcap. The truth beside each capture is what was given to the client, and what it printed of the server's
answers: a line a connection. Knows nothing of ocppscope.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent.parent / "tls"
PATIENCE = 10.0
PSK = "31415926535897932384626433832795"
SHORT, LONG = '[2,"1","Heartbeat",{}]', "".join(f"<{number:05}>" for number in range(60))
COMMANDS = {"K": "key update", "R": "renegotiation"}


def case(
    *client: str, server: tuple[str, ...] = (), say: tuple[str, ...] = (SHORT, LONG), **more: Any
) -> dict[str, Any]:
    return {"client": client, "server": server, "say": say, **more}


def suite12(name: str, *client: str, **more: Any) -> dict[str, Any]:
    """TLS 1.2 with one suite; `rsa` asks for the RSA certificate."""
    options = ("-psk", PSK) if "PSK" in name else ()
    cipher = ("-cipher", f"{name}:@SECLEVEL=0", *options)
    return case(
        "-tls1_2",
        *cipher,
        *client,
        server=("-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0", "-client_renegotiation", *options),
        **more,
    )


def old(version: str, name: str, *client: str) -> dict[str, Any]:
    level = f"{name}:@SECLEVEL=0"
    return case(f"-{version}", "-cipher", level, *client, server=("-cipher", level))


def suite13(name: str, *client: str, **more: Any) -> dict[str, Any]:
    server = ("-ciphersuites", name, *more.pop("server", ()))
    return case("-tls1_3", "-ciphersuites", name, *client, server=server, **more)


AES128_13, AES256_13 = "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"
RECORDINGS: dict[str, list[dict[str, Any]]] = {
    "tls12_aead": [
        suite12(name)
        for name in (
            "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM",
            "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES256-CCM8", "PSK-AES128-GCM-SHA256", "ADH-AES128-GCM-SHA256",
            "DHE-PSK-CHACHA20-POLY1305",
        )
    ],
    "tls12_cbc": [
        suite12(name, *how)
        for name in (
            "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384",
            "ECDHE-ECDSA-CAMELLIA128-SHA256", "PSK-NULL-SHA384", "ECDHE-ECDSA-NULL-SHA",
        )
        for how in ((), ("-no_etm",))
    ],
    "tls12_rsa": [
        suite12("AES128-GCM-SHA256"),
        suite12("AES256-SHA256", "-no_etm"),
        suite12("AES256-CCM8"),
        suite12("NULL-MD5"),
        suite12("CAMELLIA256-SHA", plain_master=True),
        suite12("AES256-GCM-SHA384", "-no_ticket", again="id"),
        suite12("AES128-SHA", again="ticket"),
        suite12("ECDHE-RSA-AES128-GCM-SHA256"),
    ],
    "tls12_special": [
        suite12("ECDHE-ECDSA-AES128-GCM-SHA256", say=(SHORT, "R", LONG, "R", SHORT)),
        suite12("ECDHE-ECDSA-AES128-SHA", say=(SHORT, "R", LONG)),
        suite12("ECDHE-ECDSA-AES128-GCM-SHA256", again="ticket"),
        suite12("ECDHE-ECDSA-AES128-GCM-SHA256", asked=True),
        suite12("ECDHE-ECDSA-ARIA128-GCM-SHA256", opened=False),
    ],
    "tls10": [
        old(version, name, *how)
        for version in ("tls1", "tls1_1")
        for name in ("ECDHE-ECDSA-AES128-SHA", "AES256-SHA")
        for how in ((), ("-no_etm",))
    ],
    "tls13": [
        suite13(name)
        for name in (
            AES128_13, AES256_13, "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256",
            "TLS_AES_128_CCM_8_SHA256",
        )
    ],
    "tls13_special": [
        suite13(AES128_13, server=("-groups", "P-384")),  # HelloRetryRequest
        suite13(AES128_13, say=(SHORT, "K", LONG, "K", SHORT, "K", SHORT)),
        suite13(AES256_13, "-record_padding", "256", server=("-record_padding", "512")),
        suite13(AES128_13, asked=True),
        suite13(AES256_13, again="ticket"),
        suite13(AES128_13, "-psk", PSK, server=("-psk", PSK)),
        suite13(AES128_13, again="ticket", early=LONG),
    ],
}  # fmt: skip


def environment(scratch: Path) -> dict[str, str]:
    """OpenSSL without the extended master secret, which no option of its commands switches off."""
    config = scratch / "openssl.cnf"
    config.write_text("openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nOptions=-ExtendedMasterSecret\n")
    return {**os.environ, "OPENSSL_CONF": str(config)}


class Client:
    """One `openssl s_client`: lines in, what the server made of them out."""

    def __init__(self, port: int, one: dict[str, Any], options: tuple[str, ...], keys: Path) -> None:
        fixed = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-keylogfile", str(keys))
        names = ("-servername", "csms.example")
        self.process = subprocess.Popen(
            [*fixed, *names, *one["client"], *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(keys.parent) if one.get("plain_master") else None,
        )
        self.printed = b""
        self._ready = selectors.DefaultSelector()
        self._ready.register(self.process.stdout, selectors.EVENT_READ)

    def wait_for(self, part: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while part not in self.printed:
            if not self._ready.select(max(deadline - time.monotonic(), 0)):
                raise RuntimeError(f"no {part!r} in {self.printed[-2000:]!r}")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise RuntimeError(f"ended without {part!r}: {self.printed[-2000:]!r}")
            self.printed += more

    def write(self, text: str) -> None:
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> int:
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self._ready.close()
        self.process.stdout.close()
        return self.process.returncode


def talk(port: int, one: dict[str, Any], keys: Path, options: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Says what a case has to say; what both sides sent."""
    client = Client(port, one, options, keys)
    try:
        client.wait_for(b"---\n")
        sent, received = one.get("early", "") if "-early_data" in options else "", ""
        for text in one["say"]:
            client.printed = b""
            client.write(text)
            if text in COMMANDS:
                client.wait_for(b"RENEGOTIATING\n" if text == "R" else b"KEYUPDATE\n")
                time.sleep(0.2)
                continue
            client.wait_for(text[::-1].encode() + b"\n")
            sent += text + "\n"
            received += text[::-1] + "\n"
        time.sleep(0.1)
    finally:
        client.end()
    return sent.encode(), received.encode()


def play(port: int, one: dict[str, Any], scratch: Path, keys: Path) -> list[dict[str, Any]]:
    """One server and the connections to it; a line of truth each."""
    certificates = ("-cert", str(OUT / "ec.pem"), "-key", str(OUT / "ec.pem"))
    certificates += ("-dcert", str(OUT / "rsa.pem"), "-dkey", str(OUT / "rsa.pem"))
    asking = ("-Verify", "1") if one.get("asked") else ()
    mine = ("-cert", str(OUT / "ec.pem"), "-key", str(OUT / "ec.pem")) if asking else ()
    early = ("-early_data",) if one.get("early") else ()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), *(() if early else ("-rev",)), *certificates, *asking, *early,
         *one["server"]],
        stdin=subprocess.PIPE if early else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = []
    try:
        wait_for_port(port)
        session = scratch / f"{port}.session"
        rounds = [("-sess_out", str(session))] if one.get("again") else [()]
        rounds += [("-sess_in", str(session))] if one.get("again") else []
        for number, how in enumerate(rounds):
            if early:
                sent, received = early_talk(port, one, keys, (*how, *mine), server, scratch, first=not number)
            else:
                sent, received = talk(port, one, keys, (*how, *mine))
            client = " ".join(part for part in one["client"] if not part.startswith(str(scratch)))
            lines.append({
                "port": port,
                "nth": number,
                "client": client,
                "opened": one.get("opened", True),
                "sent": sent.decode(),
                "received": received.decode(),
            })  # fmt: skip
    finally:
        server.terminate()
        server.wait(PATIENCE)
        for pipe in (server.stdin, server.stdout):
            if pipe is not None:
                pipe.close()
    return lines


def early_talk(
    port: int, one: dict[str, Any], keys: Path, options: tuple[str, ...], server: Any, scratch: Path, *, first: bool
) -> tuple[bytes, bytes]:
    """A server that reads early data does not echo: it is given what to say."""
    early = scratch / "early"
    early.write_text(one["early"])
    client = Client(port, one, (*options, *(() if first else ("-early_data", str(early)))), keys)
    try:
        client.wait_for(b"---\n")
        client.printed = b""
        client.write(SHORT)
        time.sleep(0.3)
        server.stdin.write(b"answer\n")
        server.stdin.flush()
        client.wait_for(b"answer\n")
    finally:
        client.end()
    return ("" if first else one["early"]).encode() + SHORT.encode() + b"\n", b"answer\n"


def wait_for_port(port: int) -> None:
    """Until the server listens, without a connection to it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        sockets = (Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()).splitlines()
        if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in sockets):
            return
        time.sleep(0.02)
    raise RuntimeError(f"no server on port {port}")


def make_certificates() -> None:
    """A certificate and key for each kind, in a file each; for these recordings and nothing else."""
    for name, kind in (("ec", ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")), ("rsa", ("rsa:2048",))):
        path = OUT / f"{name}.pem"
        if path.exists():
            continue
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "3650", "-subj", "/CN=csms.example",
             "-keyout", "-", "-out", "-"],
            check=True, capture_output=True,
        )  # fmt: skip
        path.write_bytes(made.stdout)


def record(name: str, scratch: Path) -> str:
    """One file."""
    raw, keys = scratch / f"{name}.pcap", scratch / f"{name}.keys"
    sniffer = subprocess.Popen(
        ["tcpdump", "-i", "lo", "-w", str(raw), "-U", "--immediate-mode", "-Z", "root", "-s", "0", "tcp"],
        stderr=subprocess.PIPE,
    )
    while b"listening on" not in sniffer.stderr.readline():
        pass
    truth = []
    try:
        for number, one in enumerate(RECORDINGS[name]):
            truth += play(20000 + number, one, scratch, keys)
    finally:
        time.sleep(0.4)
        sniffer.send_signal(signal.SIGINT)
        sniffer.wait(PATIENCE)
        sniffer.stderr.close()
    target = OUT / f"{name}.pcapng"
    subprocess.run(["editcap", "--inject-secrets", f"tls,{keys}", str(raw), str(target)], check=True)
    with (OUT / f"{name}.truth.jsonl").open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in truth)
    return f"{name}: {target.stat().st_size} bytes, {len(truth)} connections"


def main() -> int:
    names = sys.argv[1:] or list(RECORDINGS)
    if os.environ.get("OCPP_TLS_STAGE") != "1":
        again = ["unshare", "--net", sys.executable, __file__, *names]
        return subprocess.run(again, env={**os.environ, "OCPP_TLS_STAGE": "1"}, check=False).returncode
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    OUT.mkdir(exist_ok=True)
    make_certificates()
    with tempfile.TemporaryDirectory(prefix="tls-recording-") as scratch:
        for name in names:
            print(record(name, Path(scratch)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
