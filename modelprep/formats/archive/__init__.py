"""Archives: members of tar and zip files, and their decompression, within bounds."""

from __future__ import annotations

#: Largest member that is taken unless the caller says otherwise, bytes. The largest file of any shipped recipe is a
#: VGG of 575 MB.
MAX_BYTES = 8 << 30
