"""The catalogue's models by their former place, for `reku.mailing` only; new code asks the models' own modules."""

from reku.catalogue.campaign import Campaign, Canary
from reku.catalogue.institute import Institute, Limits
from reku.catalogue.medium import Medium, provider_of
from reku.catalogue.occasion import InDoubt

__all__ = ["Campaign", "Canary", "InDoubt", "Institute", "Limits", "Medium", "provider_of"]
