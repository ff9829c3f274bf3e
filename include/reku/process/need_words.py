"""What is said of each thing that needs a person: what happened, and what to do, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from reku.foundation import clock
from reku.foundation.words import Words
from reku.records import FaultCode


@dataclass(frozen=True)
class Said:
    """`what` happened, and the `cure`: what to do."""

    what: Words
    cure: Words


def broken_configuration(fault: str) -> Said:
    """`fault` says where and what."""
    return Said(
        Words(fault, fault),
        Words(
            "Datei berichtigen, dann `reku check`. Es geht von selbst weiter.",
            "Correct the file, then `reku check`. It goes on by itself.",
        ),
    )


def stopped(stop: int, actor: str, since: datetime, what: Words) -> Said:
    """`what` is stopped: an order, a bank or everything."""
    at = clock.berlin(since)
    return Said(
        Words(
            f"Versand angehalten von {actor} am {at:%d.%m.%Y um %H:%M}: {what.german}.",
            f"{actor} stopped the dispatch of {what.english} on {at:%d.%m.%Y at %H:%M}.",
        ),
        Words(
            f"Wenn der Grund behoben ist: `reku stop lift {stop} --note …`, dann `dispatch` zurücksetzen.",
            f"When its reason is gone: `reku stop lift {stop} --note …`, then clear `dispatch`.",
        ),
    )


def stopped_by_itself(stop: int, delivery: int, what: Words, tried: int, hard: int, complaints: int) -> Said:
    """An order that a delivery has stopped: of so many mails that were handed over so many were taken badly."""
    return Said(
        Words(
            f"Versand von selbst angehalten: {what.german}. Von {tried} Mails der Lieferung {delivery} kamen {hard}"
            f" endgültig zurück ({_percent(hard, tried)}), {complaints} wurden als Spam gemeldet"
            f" ({_percent(complaints, tried)}).",
            f"The dispatch stopped by itself: {what.english}. Of {tried} mails of delivery {delivery} {hard} came back"
            f" for good ({_percent(hard, tried)}), {complaints} were called spam ({_percent(complaints, tried)}).",
        ),
        Words(
            f"`reku funnel` und die Rückläufer ansehen, die Bank nach ihren Adressen fragen. Soll es weitergehen:"
            f" `reku stop lift {stop} --note …`, dann `dispatch` zurücksetzen.",
            f"Look at `reku funnel` and what came back, ask the bank about its addresses. To go on: `reku stop lift"
            f" {stop} --note …`, then clear `dispatch`.",
        ),
    )


def taken_badly(institute: str, sent: int, hard: int, complaints: int, *, is_grave: bool) -> Said:
    """Of today's mails of a bank: so many were sent, came back for good, were called spam."""
    stop = f"`reku stop institute {institute} --note …`"
    return Said(
        Words(
            f"Von {sent} Mails heute kamen {hard} endgültig zurück ({_percent(hard, sent)}), {complaints} wurden als"
            f" Spam gemeldet ({_percent(complaints, sent)}).",
            f"Of {sent} mails today {hard} came back for good ({_percent(hard, sent)}), {complaints} were called spam"
            f" ({_percent(complaints, sent)}).",
        ),
        Words(
            f"Sofort anhalten, sonst sperren Provider den Absender: {stop}. Dann `reku bounces status` ansehen.",
            f"Stop at once, or providers bar the sender: {stop}. Then look at `reku bounces status`.",
        )
        if is_grave
        else Words(
            f"`reku bounces status` ansehen und die Bank fragen, wie alt die Adressen sind; anhalten: {stop}.",
            f"Look at `reku bounces status` and ask the bank how old the addresses are; to stop: {stop}.",
        ),
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"


def failed(task: str, label: str) -> Said:
    """A task that failed for good; `label`: bank, order and delivery, or empty."""
    of = f": {label}" if label else ""
    return Said(
        Words(f"Der Task `{task}` ist fehlgeschlagen{of}.", f"The task `{task}` has failed{of}."),
        Words(
            "Am Ende seines Protokolls in Airflow steht, was zu tun ist; danach zurücksetzen.",
            "What to do stands at the end of its log in Airflow; then clear it.",
        ),
    )


def not_begun(occasion: str) -> Said:
    """The day's run of an occasion."""
    return Said(
        Words(
            f"Der heutige Lauf von {occasion} hat nicht begonnen, obwohl Lieferungen erwartet werden.",
            f"Today's run of {occasion} has not begun, though deliveries are expected.",
        ),
        Words(
            "In Airflow nachsehen: Dag pausiert, Scheduler aus? Dann den Dag von Hand auslösen; Tage davor nennt"
            " `reku rhythms missed`.",
            "Look at Airflow: is the Dag paused, the scheduler down? Then trigger it by hand; the days before are in"
            " `reku rhythms missed`.",
        ),
    )


def not_reported() -> Said:
    """What a bank should have been told by yesterday's or today's last export."""
    return Said(
        Words(
            "Ereignisse von vor dem letzten Rückmeldelauf (22:00) stehen in keiner Rückmeldedatei.",
            "Events from before the last daily feedback (22:00) stand in no response file.",
        ),
        Words(
            "In Airflow den Dag reku_feedback ansehen: pausiert, oder der Index dieser Bank rot? Zurücksetzen holt"
            " alles nach.",
            "Look at the Dag reku_feedback in Airflow: paused, or this bank's index red? Clearing it makes up for all.",
        ),
    )


def not_collected(source: str) -> Said:
    """`source`: return_mails or hits."""
    return Said(
        Words(
            f"Was zurückkam, wurde seit über einer Stunde nicht gelesen ({source}).",
            f"What has come back has not been looked at for more than an hour ({source}).",
        ),
        Words(
            f"In Airflow den Dag reku_collect ansehen: pausiert, oder `{source}` rot? Das Protokoll sagt, warum.",
            f"Look at the Dag reku_collect in Airflow: paused, or its task `{source}` red? Its log says why.",
        ),
    )


def relay_away(deliveries: int) -> Said:
    """Of how many deliveries the last try found no session."""
    return Said(
        Words(
            f"Der Mailserver ist nicht erreichbar: {deliveries} Lieferungen warten und versuchen es von selbst wieder.",
            f"The mail server is away: {deliveries} deliveries wait and try again by themselves.",
        ),
        Words(
            "Mailserver und REKU_SMTP_HOST, _PORT prüfen; das Protokoll von `dispatch` nennt den Grund. Wer nicht"
            " warten will, setzt `dispatch` zurück.",
            "Check the mail server and REKU_SMTP_HOST, _PORT; the log of `dispatch` says why. To have it tried at once,"
            " clear `dispatch`.",
        ),
    )


def in_doubt(people: int) -> Said:
    """Mails that were begun and of which no answer is known."""
    return Said(
        Words(
            f"Ob der Mailserver {people} Mails angenommen hat, ist nicht bekannt; sie gehen nicht noch einmal hinaus.",
            f"Of {people} mails nobody knows whether the mail server took them; they do not go out again.",
        ),
        Words(
            "`reku messages in-doubt`, im Protokoll des Mailservers nachsehen, dann `reku messages resolve`.",
            "`reku messages in-doubt`, look into the mail server's log, then `reku messages resolve`.",
        ),
    )


def refused(delivery: int, number: int, code: str, advice: str) -> Said:
    """A delivery; `advice` is what its receipt says."""
    return Said(
        Words(
            f"Lieferung {number:06d} ist abgewiesen ({code}): {advice}",
            f"Delivery {number:06d} was refused ({code}): {advice}",
        ),
        after_refusal(delivery, code),
    )


def after_refusal(delivery: int, code: str) -> Words:
    """The way on from a delivery that was refused for a fault of this code, in sentences."""
    retry = f"`reku deliveries retry {delivery}`"
    match code:
        case FaultCode.UMGEBUNG:
            return Words(
                "Entweder ist REKU_ENVIRONMENT auf diesem System falsch: dann werden die Dateien aller Institute"
                f" abgewiesen; berichtigen und {retry}. Oder der Absender muss für diese Umgebung liefern.",
                "Either REKU_ENVIRONMENT is wrong on this system: then every bank's files are refused; set it and use"
                f" {retry}. Or the sender has to deliver it for this environment.",
            )
        case FaultCode.NUMMER_VERGEBEN:
            return Words(
                "Beim Absender dieselbe Datei unter der nächsten freien Nummer anfordern.",
                "Ask the sender for it under the next free number.",
            )
        case _:
            return Words(
                "Beim Absender eine berichtigte Datei mit derselben Nummer anfordern. War es unser Fehler: beheben,"
                f" dann {retry}.",
                "Ask the sender for a corrected file with the same number. If the fault is ours, mend it, then"
                f" {retry}.",
            )


@lru_cache(1_000)
def _missing_since(day: date, until: datetime) -> Words:
    """The same for thousands of orders on a bad day."""
    at = clock.berlin(until)
    return Words(
        f"Für den {day:%d.%m.%Y} ist keine Lieferung da, erwartet bis {at:%d.%m.%Y %H:%M}.",
        f"No delivery has come for {day:%d.%m.%Y}, expected until {at:%d.%m.%Y %H:%M}.",
    )


def missing(order: str, day: date, until: datetime) -> Said:
    """A delivery that was expected until then."""
    return Said(
        _missing_since(day, until),
        Words(
            f"Beim Absender nach Auftrag {order} fragen. Kommt sie noch: den Lauf dieses Tages noch einmal starten.",
            f"Ask the sender about order {order}. When it comes: trigger the run of that day again.",
        ),
    )


def not_selected(order: str, day: date, until: datetime) -> Said:  # noqa: ARG001 - as for `missing`
    """A selection that was to be made until then."""
    at = clock.berlin(until)
    return Said(
        Words(
            f"Für den {day:%d.%m.%Y} wurde bis {at:%d.%m.%Y %H:%M} niemand ausgewählt: es fehlten frische Daten.",
            f"Nobody was selected for {day:%d.%m.%Y} until {at:%d.%m.%Y %H:%M}: fresh data were missing.",
        ),
        Words(
            "`reku agree21 status`; die Bank um frische Daten bitten. Die nächste Auswahl holt das Offene nach.",
            "`reku agree21 status`; ask the bank for fresh data. The next selection makes up for whose window is open.",
        ),
    )


def parked(number: int, advice: str) -> Said:
    """A delivery that waits for its control file."""
    return Said(
        Words(f"Lieferung {number:06d} ist geparkt: {advice}", f"Delivery {number:06d} is parked: {advice}"),
        Words(
            "Die Steuerungsdatei des Auftrags anfordern; ist sie da, geht die Lieferung von selbst weiter.",
            "Ask for the order's control file; when it is there, the delivery goes on by itself.",
        ),
    )


def waiting_for_release(delivery: int, number: int) -> Said:
    """A delivery that a person is asked about."""
    return Said(
        Words(
            f"Lieferung {number:06d} ist ungewöhnlich und wartet auf eine Freigabe.",
            f"Delivery {number:06d} is unusual and waits for a release.",
        ),
        Words(
            f"Prüfbericht ansehen, dann `reku deliveries approve {delivery}` oder `decline {delivery}`, mit `--note`.",
            f"Look at its report, then `reku deliveries approve {delivery}` or `decline {delivery}`, with `--note`.",
        ),
    )


def faulty_order() -> Said:
    """An order whose newest control file could not be carried out."""
    return Said(
        Words(
            "Die neueste Steuerungsdatei des Auftrags ist fehlerhaft; seine Lieferungen werden geparkt.",
            "The newest control file of the order is faulty; its deliveries are parked.",
        ),
        Words(
            "Die Quittung im Ausgang der Bank nennt den Fehler: beim Absender eine berichtigte anfordern.",
            "The receipt in the bank's outbox names the fault: ask the sender for a corrected one.",
        ),
    )


def refused_file(file: int, kind: str, verdict: str, code: str, advice: str) -> Said:
    """A file that a sender has to mend."""
    return Said(
        _file(file, kind, verdict, code, advice),
        Words(
            "Beim Absender eine berichtigte Datei anfordern; `reku files list` nennt ihren Namen.",
            "Ask the sender for a corrected file; `reku files list` has its name.",
        ),
    )


def set_aside_file(file: int, kind: str, verdict: str, code: str, advice: str) -> Said:
    """A file that was tried three times in vain."""
    return Said(
        _file(file, kind, verdict, code, advice),
        Words(
            f"Wenn der Grund behoben ist: `reku files retry {file}`, sonst `reku files drop {file}`.",
            f"When its reason is gone: `reku files retry {file}`, else `reku files drop {file}`.",
        ),
    )


def _file(file: int, kind: str, verdict: str, code: str, advice: str) -> Words:
    if not kind:
        return Words(
            f"Den Namen der Datei {file} kennt kein Vertrag.", f"The name of file {file} is known to no contract."
        )
    about = " ".join(part for part in (verdict, code, advice) if part)
    return Words(f"Datei {file} ({kind}): {about}", f"File {file} ({kind}): {about}")


def unclear_mails(mails: int) -> Said:
    """Return mails that no rule understands."""
    return Said(
        Words(
            f"{mails} Rückläufer sagen nicht, was aus ihren Mails geworden ist.",
            f"{mails} return mails do not say what became of their mails.",
        ),
        Words(
            "`reku bounces unclear` zeigt sie; dann `reku bounces accept` oder `drop`.",
            "`reku bounces unclear` shows them; then `reku bounces accept` or `drop`.",
        ),
    )
