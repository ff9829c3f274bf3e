"""What others may schedule on: an asset for each order and for each bank's files (docs/operations.md, "Assets").

Which there are is not known when Airflow parses, so tasks have an alias, and add the asset when they run. An event
carries numbers, file names and counts; nothing of a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.sdk import Context

ORDERS = AssetAlias("reku_orders")
RESPONSE_FILES = AssetAlias("reku_response_files")


def order_asset(institute: str, order: str) -> Asset:
    """Changes whenever the mails of a delivery of this order have gone out."""
    return Asset(name=f"reku order {institute} {order}", uri=f"reku://orders/{institute}/{order}")


def response_files_asset(institute: str) -> Asset:
    """Changes whenever a file for this bank's core system lies in its outbox."""
    return Asset(name=f"reku response files {institute}", uri=f"reku://response-files/{institute}")


def announce(context: Context, alias: AssetAlias, asset: Asset, about: dict[str, Any]) -> None:
    """Let the running task's success be an event of the asset."""
    context["outlet_events"][alias].add(asset, extra=about)
