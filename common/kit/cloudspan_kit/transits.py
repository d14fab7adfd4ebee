"""Moved to `cloudspan_kit.lists.transits`; kept until every adapter's kinds say when they are `settled`."""

from cloudspan_kit.lists.transits import in_transit

__all__ = ["in_transit"]
