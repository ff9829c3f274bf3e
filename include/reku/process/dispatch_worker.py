"""The program of a worker process of a large dispatch: `python -m reku.process.dispatch_worker '{"delivery": …}'`."""

from __future__ import annotations

import sys

from reku.dispatch.worker import run_worker
from reku.foundation.private_files import keep_private
from reku.process.systems import channel_named

if __name__ == "__main__":
    keep_private()
    sys.exit(run_worker(sys.argv[1], channel_named))
