"""The catalogue's models by their former place, for `reku.mailing` only; new code asks `reku.catalogue`."""

from reku.catalogue.campaign import Campaign
from reku.catalogue.institute import Institute
from reku.catalogue.medium import Medium, provider_of

__all__ = ["Campaign", "Institute", "Medium", "provider_of"]
