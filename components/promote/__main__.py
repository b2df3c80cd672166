"""`python -m components.promote`: the promote stage as a command."""

import sys

from components.catalog import PROMOTE
from components.core.command import main

sys.exit(main(PROMOTE))
