"""A name server of the tests' own, on a free port of this machine: it knows TXT records, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@contextmanager
def name_server(records: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Serve the records by name, and tell where: `127.0.0.1:port`. Of all other names it says that there are none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, records, stop))
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


def _serve(server: socket.socket, records: Mapping[str, Sequence[str]], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            data, client = server.recvfrom(4096)
        except TimeoutError:
            continue
        server.sendto(_answer(dns.message.from_wire(data), records).to_wire(), client)


def _answer(query: dns.message.Message, records: Mapping[str, Sequence[str]]) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    name = query.question[0].name
    texts = records.get(name.to_text(omit_final_dot=True))
    if texts is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif texts:
        strings = [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200)) for text in texts]
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *strings))
    return answer
