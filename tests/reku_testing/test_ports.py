"""Free ports: nobody else is given one, in this process or in another."""

from __future__ import annotations

import subprocess
import sys

from reku.runtime.ports import is_free
from reku_testing import ports

ASK = "import sys; from reku_testing import ports; ports._numbers = map(int, sys.argv[1:]); print(ports.free_port())"


def test_no_port_is_given_twice() -> None:
    given = [ports.free_port() for _ in range(50)]
    assert len(set(given)) == 50
    assert all(map(is_free, given))
    wanted = [str(port - ports._FIRST) for port in given[:3]]
    done = subprocess.run([sys.executable, "-c", ASK, *wanted], capture_output=True, text=True, check=False)
    assert done.returncode != 0, "another process was given one of ours"
    assert "AssertionError" in done.stderr
