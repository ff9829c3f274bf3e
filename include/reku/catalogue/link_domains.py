"""Where links of media may lead beside the bank's own domains: `link_domains.yaml` (docs/media.md, "Links")."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field

from reku.catalogue.fields import Domain, Model
from reku.catalogue.institute import Institute
from reku.catalogue.medium import Provider
from reku.foundation.settings import configured
from reku.foundation.yaml_source import load

FILE = "link_domains.yaml"


class LinkDomains(Model):
    """The whole of `link_domains.yaml`."""

    domains: dict[Provider, tuple[Domain, ...]] = Field(
        default_factory=dict, description="provider → domains that links of its media may lead to; theirs below count"
    )

    def allowed(self, provider: Provider, institute: Institute) -> tuple[str, ...]:
        """The domains that a provider's media may lead to in mails of this bank."""
        return (*institute.sender.domains, *self.domains.get(provider, ()))


@cache
def link_domains() -> LinkDomains:
    """The domains of the configuration folder, or the ones shipped where it has none. Raises ConfigError."""
    return load_link_domains(configured(FILE))


def load_link_domains(file: Path) -> LinkDomains:
    """Read one file of domains. Raises ConfigError."""
    return load(file, LinkDomains)


def leads_to(url: str, domains: tuple[str, ...]) -> bool:
    """Whether a link leads by https to one of the domains, or to one below them."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return parts.scheme == "https" and any(host == domain or host.endswith(f".{domain}") for domain in domains)
