"""What Airflow's UI says about a DAG: written for the person on call at night."""

from __future__ import annotations

from collections.abc import Iterable

from reku.catalogue.occasion import Occasion

_OCCASION = """\
### {code} {title}

**Auf Deutsch.** Jeden Tag kurz nach 03:00 Uhr: Lieferungen prüfen, freigeben, versenden, Rückmeldungen schreiben; ein Index der Gruppe
„Lieferung“ ist eine Lieferung einer Bank. Rote Aufgaben dürfen jederzeit zurückgesetzt werden, niemand bekommt eine Mail zweimal. Die letzten
Zeilen des Protokolls sagen, was zu tun ist; für Probeläufe und einzelne Banken gibt es Felder beim Auslösen.

**Darf ich zurücksetzen?** Ja: jede Aufgabe, jederzeit, beliebig oft. Den einen roten Index mit seinen nachfolgenden Aufgaben zurücksetzen; die
anderen bleiben unberührt.

| rote Aufgabe | Bedeutung | was tun |
| --- | --- | --- |
| `await_control_file` | Lieferungen sind da, aber kein Auftrag hat eine verarbeitete Steuerungsdatei | den Auftrag in OSPlus einmal umbenennen lassen; dann kommt die Datei noch einmal |
| `await_delivery` | die Lieferung der Bank für den Zeitraum ist nicht gekommen | beim Absender nachfragen; eine späte nimmt der nächste Lauf von selbst |
| `validate` | die Datei ist als Ganzes abgewiesen | die Quittung in `ausgang/` nennt die Zeilen; eine berichtigte Datei trägt dieselbe Nummer |
| `release` | niemand hat rechtzeitig entschieden, oder es wurde abgelehnt | noch einmal versuchen, oder nichts: abgelehnt ist endgültig |
| `upsert_subscribers` | Liste eingefroren, oder eine frühere Lieferung des Auftrags ist nicht geladen | richten, was die Meldung nennt, dann zurücksetzen |
| `dispatch` | angehalten (`reku stop list`), Kampagne nicht aktiv oder ohne Liste oder Mail, erste Mails schlecht angekommen, oder der Mailserver lehnt uns ab | tun, was die Meldung nennt, `dispatch` zurücksetzen: was noch im Fenster liegt, geht hinaus |
| `export_feedback` | die Rückmeldedatei ließ sich nicht schreiben | Ausgang oder Schlüssel richten, zurücksetzen: es werden dieselben Bytes geschrieben |
| `report` | fasst zusammen und nennt alles, was nicht grün ist | die Liste abarbeiten, dann `report` zurücksetzen |

**Einen Tag nachholen.** Ein Lauf gilt für den Tag seines logischen Datums, von Hand für das Feld `day`, sonst für heute. Was sein Fenster
verpasst hat, wird nicht versandt.

**What it does.** Once each calendar day, shortly after 03:00 Berlin time, it takes the work of that day for every bank
that ordered this occasion, by control file or by a campaign in its own file: waits for the control file and for expected
deliveries, checks them, fills the subscriber lists, sends what is due at the campaign's play-out time, collects the
responses and writes the response file. One index of the group `delivery` is one delivery of one bank; its name is shown
once it has started.

**Is it safe to clear?** Yes, any task, any time, any number of times. Nobody gets a second mail: the ledger knows who has
been written to. Clear the one red index with its downstream tasks; the others stay untouched.

**When it fails**

| red task | meaning | what to do |
| --- | --- | --- |
| `await_control_file` | deliveries came, but no order has a processed control file | have the order's name changed once in OSPlus; the file is sent again |
| `await_delivery` | the bank's delivery for the period did not come | ask the sender; a late one is taken by the next run by itself |
| `validate` | the file was refused as a whole | the receipt in `ausgang/` names the rows; a corrected file takes the same number |
| `release` | nobody decided in time, or it was declined | try it again, or nothing: declined is for good |
| `upsert_subscribers` | list frozen, or an earlier delivery of the order is not loaded | repair what the message names, clear |
| `dispatch` | stopped by somebody (`reku stop list`), campaign without list or mail or not active, first mails taken badly, or the relay refuses us | do what the message names, clear `dispatch`: what is still in its window is sent |
| `export_feedback` | the response file, or the one for VTM, could not be written | mend the outbox or the key (`REKU_VAULT_KEYS`) that the message names, clear: the same bytes are written |
| `report` | sums up; lists everything that is not green | work through its list, then clear `report` |

Parked deliveries and messages in doubt are named by `report`. Look a person's row up by its reference, never by name.

**Re-running a day.** A run is for the day of its logical date; a manual run for its param `day`, else the day it is started.
A run for a past day (backfill) does that day's work and nothing else. Mails past their window are not sent.

**About this occasion.** Family {family}; media: {media}. A mail may go out from {first} to {last} days around `Anlass_Datum`.
Waits {response} for responses after dispatch. Rules of the gate of its own, if it has some, stand
in `include/expectations/occasions/{code}.yaml`.
"""

_BROKEN = """\
### The file of this occasion cannot be read

Nothing is sent for it until it is mended; all other occasions run. `reku check` shows the same:

{faults}
"""


def occasion_doc(occasion: Occasion) -> str:
    """`doc_md` of an occasion DAG."""
    return _OCCASION.format(
        code=occasion.code,
        title=occasion.title,
        family=occasion.family,
        media=", ".join(occasion.media) or "none of the central ones, link your own",
        first=occasion.window.first_day,
        last=occasion.window.last_day,
        response=occasion.response_window,
    )


def broken_doc(faults: Iterable[str]) -> str:
    """`doc_md` of the DAG that stands in for a broken occasion file."""
    return _BROKEN.format(faults="\n".join(f"- {fault}" for fault in faults))
