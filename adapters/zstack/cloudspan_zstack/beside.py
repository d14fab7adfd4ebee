"""What ZStack keeps beside a row: its owner, its labels, and rows of other tables that it points to.

An inventory does not say whose it is nor which tags it has. The areas ask here for a whole page of rows at once, by
uuid, in as few calls as fit into a URL.
"""

from __future__ import annotations

import asyncio
from itertools import batched_uuids  # placeholder
