"""The gallery of media on Airflow's server: pictures of our own, and each medium as a bank sends it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from reku.catalogue import media
from tests.orchestration.test_acting import Visitor

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("database")]


def test_all_media_with_pictures_and_each_as_it_arrives(airflow_server: Any, token_of: Callable[..., str]) -> None:
    viewer = Visitor(airflow_server, token_of("viewer"))
    page = viewer.get("/reku/media")
    assert page.status_code == 200
    assert page.text.count("<li id=") == len(media()) == 29
    assert page.headers["content-security-policy"].startswith("img-src 'self' data:; default-src 'none'")
    assert "99990001/R0000101" in page.text
    address = re.findall(r'<img src="[^"]*?(/reku/media/b/scom_geburtstag/[^"]*)"', page.text)[0]
    assert viewer.get(address).content.startswith(b"\x89PNG")

    shown = viewer.get("/reku/media/SCOM_GEBURTSTAG?bank=99990002").text
    assert shown.count("<iframe") == 4
    assert "Sparkasse Beispielland" in shown
    assert "<script" not in shown
    for wrong in ("/reku/media/SCOM_NICHTS", "/reku/media/b/scom_geburtstag/kopf.png", "/reku/media/..%2Fx"):
        assert viewer.get(wrong).status_code == 404
    assert Visitor(airflow_server, None).get("/reku/media").status_code == 401
