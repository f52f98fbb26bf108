"""Records docs/samples/wss.pcap: two stations that speak TLS to a CSMS, on loopback; no keys are kept.

    python3 docs/samples/record.py        # as root, with tcpdump, openssl and the Python packages of the group test

The one at 127.0.0.21 does not know the authority of the CSMS's certificate. The one at 127.0.0.22 does; it sends a
Heartbeat every 4 s, six times, then nothing, and the CSMS ends the connection after 10 s of silence.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

SAMPLE = Path(__file__).with_name("wss.pcap")
PORT, NAME = 8443, "csms.example"
SILENCE_S, BEAT_S, BEATS = 10.0, 4.0, 6


def certificate(folder: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "csms.pem"
    path.touch(0o600)
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


async def csms(connection: ServerConnection) -> None:
    """Answers, and hangs up on who is silent."""
    while True:
        try:
            text = await asyncio.wait_for(connection.recv(), SILENCE_S)
        except TimeoutError:
            connection.transport.abort()
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        await connection.send(json.dumps([3, json.loads(text)[1], {"currentTime": now}]))


async def distrustful() -> None:
    """A station that does not know the authority, and says so."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-bind", "127.0.0.21:0", "-servername", NAME]
    options = ["-tls1_2", "-verify_return_error", "-no-CAfile", "-no-CApath", "-no-CAstore"]
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await process.wait()


async def trustful(trusted: Path) -> None:
    """A station that connects, sends its Heartbeats and waits for the end."""
    context = ssl.create_default_context(cafile=trusted)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    options = {"ssl": context, "server_hostname": NAME, "local_addr": ("127.0.0.22", 0), "proxy": None}
    url = f"wss://127.0.0.1:{PORT}/ocpp/CP-1"
    async with connect(url, subprotocols=["ocpp1.6"], ping_interval=None, **options) as connection:
        for number in range(BEATS):
            await connection.send(json.dumps([2, f"h-{number}", "Heartbeat", {}]))
            await connection.recv()
            await asyncio.sleep(BEAT_S)
        await connection.wait_closed()


async def record(folder: Path) -> None:
    """Both stations, into a file in `folder`."""
    pem = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    command = ["tcpdump", "-i", "lo", "-U", "-w", str(folder / "wss.pcap"), "tcp", "port", str(PORT)]
    sniffer = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(1)
        async with serve(csms, "127.0.0.1", PORT, ssl=context, subprotocols=["ocpp1.6"], ping_interval=None):
            await distrustful()
            await trustful(pem)
        await asyncio.sleep(1)
    finally:
        sniffer.terminate()
        await sniffer.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(record(Path(temporary)))
        SAMPLE.write_bytes((Path(temporary) / "wss.pcap").read_bytes())
