"""The expectations of Great Expectations that the rules become, each of which describes itself only once.

They are built for one run and never changed, but GX asks each for its description some 130 times;
describing them anew every time was two fifths of what judging a delivery costs. Importing this module takes seconds.
"""

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe
from great_expectations.compatibility.pydantic import PrivateAttr


class _DescribedOnce:
    """Comes before the expectation of GX whose description is kept, which has to declare `_description`."""

    _description: Any

    @property
    def configuration(self) -> Any:
        """What GX knows an expectation by: its type, arguments and meta."""
        if self._description is None:
            self._description = super().configuration  # type: ignore[misc] # of the expectation that follows
        return self._description


class ExpectFieldToBeFilled(_DescribedOnce, gxe.ExpectColumnValuesToNotBeNull):  # type: ignore[misc] # GX is not typed
    """No value of the column is null."""

    _description: Any = PrivateAttr(None)


class ExpectLengthToBeBetween(_DescribedOnce, gxe.ExpectColumnValuesToBeBetween):  # type: ignore[misc] # see above
    """Every number of the column lies between two others."""

    _description: Any = PrivateAttr(None)


class ExpectFieldToBeInSet(_DescribedOnce, gxe.ExpectColumnValuesToBeInSet):  # type: ignore[misc] # see above
    """Every value of the column is one of a set."""

    _description: Any = PrivateAttr(None)
