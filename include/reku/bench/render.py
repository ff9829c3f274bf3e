"""Stage "render": mails filled by us against the same mails built with EmailMessage(policy.SMTP).

Both sides sign fresh links for every mail and render the same Jinja templates: S-Com's birthday mail with three more
links, so that a mail has six signed links, a picture, and 60 to 75 KB. Measured in a process of its own, where nothing
else runs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from reku.catalogue import institutes, media
from reku.channels.email.media.compile import CompiledMedium, compile_medium
from reku.channels.email.media.fill import fill
from reku.channels.email.media.links import Links, SharedLinks, links_for
from reku.channels.email.media.people import sample_person
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.foundation.settings import INCLUDE

BLZ, MEDIUM = "99990001", "SCOM_GEBURTSTAG"
TRACKER = "https://mail.sparkasse-musterstadt.example"
MAILS = 200
"""Mails a round, on each side."""
AT_LEAST = 10

SHARED_LINKS = SharedLinks(1, MEDIUM)

_BLOCK = 20  # mails of one side before it is the other's turn
_MORE_LINKS = ("feiern", "schenken", "vorsorgen")
_ORDER, _DELIVERY = "R0004711", 17


def measure(rounds: int) -> dict[str, Any]:
    """The figure of this stage. Raises SetupError if the process that measures fails."""
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as folder:
        done = subprocess.run(  # noqa: S603 - our own program
            (sys.executable, "-P", "-m", "reku.bench.render", str(rounds)),
            env={name: value for name, value in os.environ.items() if not name.startswith("REKU_")}
            | {
                "REKU_CONFIG_DIR": str(configuration(Path(folder, "config"))),
                "REKU_TOKEN_KEYS": secrets.token_hex(32),
                "REKU_TRACKER_URL": TRACKER,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise SetupError(f"The rendering could not be measured: {said[-1] if said else 'no reason given'}")
    figure: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figure


def configuration(folder: Path) -> Path:
    """Write the project's configuration into `folder`, its birthday mail with three more links, and return its path."""
    shutil.copytree(INCLUDE, folder, ignore=shutil.ignore_patterns("reku", "*.egg-info", "__pycache__"))
    medium = folder / "templates" / "scom" / "geburtstag"
    links = "".join(f'  - name: {name}\n    url: "https://www.{{domain}}/{name}"\n' for name in _MORE_LINKS)
    anchors = "".join(f'<a href="{{{{ link_{name} }}}}">Mehr zum {name.title()}</a><br />\n' for name in _MORE_LINKS)
    lines = "".join(f"Mehr zum {name.title()}:\n{{{{ link_{name} }}}}\n\n" for name in _MORE_LINKS)
    for file, before, more in (
        ("medium.yaml", "", links),
        ("mail.mjml", '<mj-include path="shared/closing.mjml" />', f"<mj-text>{anchors}</mj-text>\n"),
        ("mail.txt", '{% include "shared/closing.txt" %}', lines),
    ):
        text = (medium / file).read_text(encoding="utf-8")
        changed = text.replace(before, more + before, 1) if before else text + more
        (medium / file).write_text(changed, encoding="utf-8")
    return folder


def compiled_medium() -> CompiledMedium:
    """The benchmark's medium; `REKU_CONFIG_DIR` is a folder made by `configuration`."""
    return compile_medium(media()[MEDIUM], institutes()[BLZ])


def person(number: int) -> dict[str, str]:
    """One of any number of people, everything known of them."""
    return sample_person(institutes()[BLZ]) | {
        "Referenz": f"{_ORDER}-{_DELIVERY:06d}-{number:05d}",
        "Personennummer": f"{number:010d}",
        "Nachname": f"Müller-{number}",
        "EMail": f"kunde.{number}@kunde.example",
    }


def by_us(compiled: CompiledMedium, person: Mapping[str, str], links: Links) -> bytes:
    """The mail as the dispatch makes it."""
    return fill(compiled, person, links, order_number=_ORDER, delivery_number=_DELIVERY).data


def by_email_message(compiled: CompiledMedium, person: Mapping[str, str], links: Links) -> bytes:
    """The same mail as the standard library makes it."""
    urls = {name: links.click_url(number, url) for number, (name, url) in enumerate(compiled.links.items(), 1)}
    content = compiled.render(person, links=urls, unsubscribe=links.unsubscribe_url, pixel=links.open_pixel_url or "")
    sender = Address(person["Berater_Absendername"], addr_spec=person["Berater_E-Mail"])
    message = EmailMessage(policy.SMTP)
    message["From"] = sender
    message["To"] = Address(f"{person['Vorname']} {person['Nachname']}", addr_spec=person["EMail"])
    message["Reply-To"] = Address(addr_spec=sender.addr_spec)
    message["Subject"] = content.subject
    message["Date"] = clock.berlin(clock.now())
    message["Message-ID"] = f"<{links.message_id}@{sender.domain}>"
    message["List-Unsubscribe"] = f"<{links.unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Feedback-ID"] = f"{_DELIVERY:06d}:{_ORDER}:{compiled.institute.blz}:reku"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.text, cte="quoted-printable")
    message.add_alternative(content.html, subtype="html", cte="quoted-printable")
    html: Any = message.get_payload(1)
    for picture in compiled.pictures:
        main, sub = picture.kind.split("/")
        name = picture.file.name
        html.add_related(picture.content, main, sub, cid=f"<{picture.content_id}>", filename=name, disposition="inline")
    return message.as_bytes()


def _ratio(compiled: CompiledMedium, people: list[dict[str, str]]) -> float:
    """The time of EmailMessage over ours for all these people, taken in turns of a few mails."""
    times = {by_us: 0.0, by_email_message: 0.0}
    for start in range(0, len(people), _BLOCK):
        sides = list(times) if start // _BLOCK % 2 else list(times)[::-1]
        for side in sides:
            begun = time.perf_counter()
            for number, one in enumerate(people[start : start + _BLOCK], start):
                side(compiled, one, links_for(number, SHARED_LINKS, tracking=True))
            times[side] += time.perf_counter() - begun
    return times[by_email_message] / times[by_us]


def main(rounds: int) -> None:
    """Measure and print one JSON object."""
    compiled = compiled_medium()
    people = [person(number) for number in range(MAILS)]
    size = len(by_us(compiled, people[0], links_for(1, SHARED_LINKS, tracking=True)))
    figure = {
        "stage": "render",
        "what": f"{size} bytes a mail, 6 signed links, a picture",
        "against": "EmailMessage(policy.SMTP)",
        "ratio": round(statistics.median(_ratio(compiled, people) for _ in range(rounds)), 2),
        "at_least": AT_LEAST,
        "rounds": rounds,
        "rows": MAILS,
    }
    print(json.dumps(figure))  # noqa: T201 - read by `measure`


if __name__ == "__main__":
    main(int(sys.argv[1]))
