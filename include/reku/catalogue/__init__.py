"""What the banks want: occasions, media, institutes and campaigns, read from YAML with errors by file and line."""

from reku.catalogue.bank_names import bank_names
from reku.catalogue.campaign import Campaign
from reku.catalogue.institute import Institute
from reku.catalogue.loader import Entries, institutes, load_occasion, media, medium_folder, occasions, scan_occasions
from reku.catalogue.medium import Medium
from reku.catalogue.occasion import Occasion

__all__ = [
    "Campaign",
    "Entries",
    "Institute",
    "Medium",
    "Occasion",
    "bank_names",
    "institutes",
    "load_occasion",
    "media",
    "medium_folder",
    "occasions",
    "scan_occasions",
]
