"""Which core system has what stands in one module; nothing else knows one by name."""

from __future__ import annotations

import re

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import CoreSystem
from reku.process.systems import CHANNELS, SYSTEMS
from tests.conftest import PROJECT

PACKAGE = PROJECT / "include" / "reku"
MAY = {"process/systems.py", "catalogue/institute.py", "catalogue/new_bank.py"}
"""The registry, the key of a bank's file, and the form that asks a new bank for it."""


def test_no_other_module_asks_for_a_core_system() -> None:
    asking = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bCoreSystem\b|\.core_system\b", file.read_text(encoding="utf-8"))
    }
    assert asking == MAY


def test_what_is_served_today() -> None:
    assert set(SYSTEMS) == set(CoreSystem)
    assert "email" in CHANNELS
    assert {channel.name: name for name, channel in CHANNELS.items()} == {name: name for name in CHANNELS}
    assert set(CHANNELS) <= set(ChannelName)
