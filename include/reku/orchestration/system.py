"""The tasks of the system DAGs: intake, daily feedback and housekeeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from reku.orchestration.failures import fail, plain_errors
from reku.orchestration.operators import announce_file
from reku.process.answers import Counts

if TYPE_CHECKING:
    from airflow.sdk import Context


INTAKE = """\
### Intake

**What it does.** Every five minutes it looks into the inbox of each bank (`<BLZ>/eingang/`), carries out control files, registers
deliveries, writes receipts and archives the originals. A file is taken when its `.ok` marker is there or it has not changed
for a minute. One index of `take_in` is one bank; a slow or broken one holds up no other, and is looked at by one run at a time.

**Is it safe to clear?** Yes. A file is registered once; a run that was killed is repaired by the next one.

**When it fails**

| red task | meaning | what to do |
| --- | --- | --- |
| `take_in` | files of that bank lie in `fehler/` because no contract knows their name, or were set aside after three tries, or could not be read or moved; or its place cannot be used | `reku files list` lists them with the reason; the next run is green again unless there are new ones |
| `unclaimed` | a folder belongs to no bank, an order's occasion has no file any more, or a parked delivery does not tell its occasion: no other run would name it | what the message says |
"""

COLLECT = """\
### Collecting what has come back

**What it does.** Every minute it reads the return mailboxes (`return_mails`), and takes in opens and clicks that no tracker has
(`hits`), each for a bounded time: the rest waits for the next run. Nothing else waits for it: dispatch, intake and
feedback use what is there, and say how old it is.

**Is it safe to clear?** Yes, any time.

| red task | meaning | what to do |
| --- | --- | --- |
| `return_mails` | a return mailbox cannot be read; meanwhile no bounce is known, and canaries go on without | what the message says |
| `hits` | a tracker's journal cannot be read | what the message says |
"""

DAILY_FEEDBACK = """\
### Daily feedback

**What it does.** At 22:00 Berlin time it writes one file per bank with every event that is not yet reported, an empty one if there
is none (silence must be noticed): a response file for OSPlus, activities for VTM where we select the people. It waits for nobody: bounces are read by `reku_collect`, and the task
says until when they are in.

**Is it safe to clear?** Yes. Number, time stamp and rows of a file are fixed before it is written; a file that was not finished
is written again with the same bytes, and no event is reported twice.

**When it fails.** One bank's failure leaves the others untouched. Mend the outbox or the key that the message names and clear its
index. Clear person numbers stand in files for VTM only, and are opened while these are written: that needs `REKU_VAULT_KEYS`.
"""


DATA_IMPORT = """\
### Import of cooperative banks' data

**What it does.** Every ten minutes from 03:30 to 12:00 it looks into the inbox of each bank on agree21 and imports what has come:
customers, holdings, appointments, impulses, in that order. At the bank's `addresses_until` (12:00) names and addresses are
forgotten. One index of `import_data` is one bank; a slow or broken one holds up no other.

**Is it safe to clear?** Yes. Each file is taken in once, in one transaction; a run that was killed is repaired by the next one.

**When it fails**

| red task | meaning | what to do |
| --- | --- | --- |
| `import_data` | a file was refused, or could not be taken in; or the bank's place cannot be used | the message says why; a snapshot that would erase people: `reku agree21 accept`. `reku agree21 status` shows how old the data are |
| `data_banks` | the folder of the banks cannot be read | `reku check` |
"""


DAILY_FILES = """\
### Files of the day for cooperative banks

**What it does.** Every ten minutes from 04:00 to 12:50 it asks for each bank on agree21 whether the selections of the day are done;
then, at 08:00 at the latest, it prepares the state of the day for agree21BAP. Nothing is written: clear numbers exist only while
somebody of the bank fetches the file. One index of `daily_files` is one bank; a broken one holds up no other.

**Is it safe to clear?** Yes. There is one file a day: once it is prepared, nothing more is done.

**When it fails**

| red task | meaning | what to do |
| --- | --- | --- |
| `daily_files` | the bank's data are too old to say who has objected; or something of a delivery cannot be shown, and the file was made without it | the message says why; after mending it `reku agree21 files prepare BLZ` makes a newer file |
| `data_banks` | the folder of the banks cannot be read | `reku check` |
"""


class ListBanks(BaseOperator):
    """The BLZ of every bank that has such work, and of banks whose file is broken: one mapped index each.

    `work`: intake, data (their import), feedback or emma.
    """

    def __init__(self, *, work: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.work = work

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow calls it so
        from reku.process.data_import import data_banks
        from reku.process.emma import banks_with_emma
        from reku.process.intake import intake_banks
        from reku.process.systems import served_banks

        with plain_errors():
            of_work = {"intake": intake_banks, "data": data_banks, "feedback": served_banks, "emma": banks_with_emma}
            return of_work[self.work]()


BANK = "{{ task.label }}"
"""What the index of a bank is called, so that it is found by the bank's name."""


class BankTask(BaseOperator):
    """Base of the tasks of one bank."""

    template_fields = ("institute",)

    def __init__(self, *, institute: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.institute = institute

    @property
    def label(self) -> str:
        """Name and BLZ of the bank; the BLZ alone if its file is broken."""
        from reku.catalogue import institutes

        bank = institutes().whole.get(self.institute)
        return f"{bank.name} ({self.institute})" if bank else str(self.institute)


class TakeIn(BankTask):
    """One look into a bank's inbox; red when a file is unknown or could not be taken in."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.process.intake import take_in
        from reku.store.engine import engine

        with plain_errors():
            taken = take_in(engine(), self.institute)
        fail_with(taken.problems)
        return dict(taken.counts)


class ImportData(BankTask):
    """One look for a bank's data; red when a file was refused or could not be taken in."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.process.data_import import import_data
        from reku.store.engine import engine

        with plain_errors():
            taken = import_data(engine(), self.institute)
        fail_with(taken.problems)
        return dict(taken.counts)


class DailyFiles(BankTask):
    """The bank's files of the day; red when they cannot be made, or not of all that they should tell."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.process.daily_files import prepare_daily_files
        from reku.store.engine import engine

        with plain_errors():
            done = prepare_daily_files(engine(), self.institute)
        fail_with(done.problems)
        return dict(done.counts)


class Unclaimed(BaseOperator):
    """Red as long as there is something that no other run would name."""

    def execute(self, context: Context) -> None:
        from reku.process.intake import unknown_folders
        from reku.process.unclaimed import unclaimed
        from reku.store.engine import engine

        with plain_errors():
            fail_with([*unclaimed(engine(), context["ti"].run_id), *unknown_folders()])


class CollectReturnMails(BaseOperator):
    """Takes in what has come to the return mailboxes, for a bounded time."""

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow calls it so
        from reku.process.collecting import collect_return_mails
        from reku.store.engine import engine

        with plain_errors():
            collect_return_mails(engine())


class CollectHits(BaseOperator):
    """Takes in what the trackers of this machine have noted, for a bounded time."""

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow calls it so
        from reku.process.collecting import collect_hits
        from reku.store.engine import engine

        with plain_errors():
            collect_hits(engine())


class DailyFeedback(BankTask):
    """Writes the daily response file of one bank, which is an event of the asset that its DAG names as outlet."""

    def execute(self, context: Context) -> Counts:
        from reku.process.daily_feedback import write_daily_feedback
        from reku.store.engine import engine

        with plain_errors():
            counts = write_daily_feedback(engine(), self.institute)
        announce_file(context, self.institute, counts)
        return counts


def fail_with(problems: Sequence[str]) -> None:
    """Fail with what a person should look at, if there is something."""
    if problems:
        fail("\n".join(problems))


HOUSEKEEPING = """\
### Housekeeping

**What it does.** Every hour it removes what has been kept for its time: delivered rows soon after sending, files, rejects, raw
bounce mails, logs, and in the end whole deliveries. The periods are the settings `REKU_KEEP_…`; docs/privacy.md says what
is kept where, how long and why. Nothing goes that is still needed.

**Is it safe to clear?** Yes, any time.

**When it fails.** The message names what could not be removed; all else is removed. Mend it and clear the task, or leave it
to the next hour.
"""


ALARMS = """\
### Alarms

**What it does.** Every five minutes it tells people at `REKU_ALARM_URLS` what is new among what needs a person, what has got worse, and
what is over, in one message; and a watcher at `REKU_HEARTBEAT_URL` that all is alive. Each cause is told once. `metrics` hands the day's
figures to Airflow's metrics.

**Is it safe to clear?** Yes. If it fails after the message has gone, the same is told once more.

| red task | meaning | what to do |
| --- | --- | --- |
| `alarms` | an address does not take the message | correct REKU_ALARM_URLS; the next run tells it again |
| `heartbeat` | the watcher cannot be told | correct REKU_HEARTBEAT_URL |
"""


class RaiseAlarms(BaseOperator):
    """Tells people what needs them, each cause once."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.orchestration.reports import today_address, whole
        from reku.process.alarming.raising import raise_alarms
        from reku.store.engine import engine

        with plain_errors():
            told = raise_alarms(engine(), whole(today_address()))
        return asdict(told)


class SendHeartbeat(BaseOperator):
    """Tells a watcher elsewhere that all is alive."""

    def execute(self, context: Context) -> bool:  # noqa: ARG002 - Airflow calls it so
        from reku.process.alarming.sending import send_heartbeat

        with plain_errors():
            return send_heartbeat()


class ReportFigures(BaseOperator):
    """Hands the day's figures to Airflow's metrics."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.orchestration.gauges import report_figures
        from reku.store.engine import engine
        from reku.views.day_figures import day_figures

        with plain_errors():
            return {"gauges": report_figures(day_figures(engine()))}


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
