"""`python -m components.search`: the search stage as a command."""

import sys

from components.catalog import SEARCH
from components.core.command import main

sys.exit(main(SEARCH))
