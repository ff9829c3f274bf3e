"""The tasks of the system DAGs: intake, daily feedback and housekeeping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from reku.orchestration.operators import Counts, after_collecting, collect_bounces, collect_hits, plain_errors

if TYPE_CHECKING:
    from airflow.sdk import Context


class TakeIn(BaseOperator):
    """One look into every inbox; red when a file is unknown or could not be taken in."""

    doc: ClassVar[str] = """\
### Intake

**What it does.** Every five minutes it looks into the inbox of each bank (`<BLZ>/eingang/`), carries out control files, registers
deliveries, writes receipts and archives the originals. A file is taken when its `.ok` marker is there or it has not changed
for a minute.

**Is it safe to clear?** Yes. A file is registered once; a run that was killed is repaired by the next one.

**When it fails.** The message says how many files of which bank lie in `fehler/` because no contract knows their name, or could
not be read or moved. `reku files` lists them with the reason. The next run is green again unless there are new ones.
It also names what no occasion DAG would: orders whose occasion has no file any more, and parked deliveries that do not tell
their occasion.
"""

    def execute(self, context: Context) -> Counts:
        from reku.process.summary import unclaimed
        from reku.sources.osplus.scan import take_in_all
        from reku.store.engine import engine

        with plain_errors():
            taken = take_in_all(engine())
            collect_bounces(engine())
            problems = [*taken.problems, *unclaimed(engine(), context["ti"].run_id)]
        if problems:
            raise AirflowFailException("\n".join(problems))
        return dict(taken.counts)


class ListInstitutes(BaseOperator):
    """The BLZ of every savings bank, and of banks whose file is broken: one mapped index each."""

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow calls it so
        from reku.catalogue import institutes
        from reku.catalogue.institute import CoreSystem

        with plain_errors():
            # Files for agree21 are not written yet: such a bank has no index instead of a red one each day.
            known = institutes()
            broken = {fault.file.stem for fault in known.faults}
            return [blz for blz in known if blz in broken or known[blz].core_system == CoreSystem.OSPLUS]


class DailyFeedback(BaseOperator):
    """Writes the daily response file of one institute, an empty one too, so that silence is noticed."""

    doc: ClassVar[str] = """\
### Daily feedback

**What it does.** At 22:00 Berlin time it writes one response file per bank with every event that is not yet reported, an empty
one if there is none (silence must be noticed). Bounce mails are read first.

**Is it safe to clear?** Yes. Number, time stamp and rows of a file are fixed before it is written; a file that was not finished
is written again with the same bytes, and no event is reported twice.

**When it fails.** One bank's failure leaves the others untouched. Mend the outbox that the message names and clear its index.
"""
    template_fields = ("institute",)

    def __init__(self, *, institute: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.institute = institute

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.reporting.export import export
        from reku.store.engine import engine

        with plain_errors(), after_collecting(engine(), collect_bounces, collect_hits):
            written = export(engine(), self.institute, daily=True)
        return {"file": written.number, "rows": written.rows} if written else {"file": None, "rows": 0}


HOUSEKEEPING = """\
### Housekeeping

**What it does.** Every hour it removes what has been kept for its time: delivered rows soon after sending, files, rejects, raw
bounce mails, logs, and in the end whole deliveries. The periods are the settings `REKU_KEEP_…`; docs/privacy.md says what
is kept where, how long and why. Nothing goes that is still needed.

**Is it safe to clear?** Yes, any time.

**When it fails.** The message names what could not be removed; all else is removed. Mend it and clear the task, or leave it
to the next hour.
"""


class RemoveReports(BaseOperator):
    """Removes delivery reports that have been kept for their time; each can be made again from the tables."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.foundation import clock
        from reku.release.report import remove_old

        with plain_errors():
            removed = remove_old(clock.now())
        self.log.info("%d delivery reports removed", removed)
        return {"reports": removed}


class ApplyRetention(BaseOperator):
    """Removes files and rows whose period is over."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.foundation import clock
        from reku.privacy.retention import apply
        from reku.store.engine import engine

        with plain_errors():
            return dict(apply(engine(), clock.now()))
