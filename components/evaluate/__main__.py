"""`python -m components.evaluate`: the evaluate stage as a command."""

import sys

from components.catalog import EVALUATE
from components.core.command import main

sys.exit(main(EVALUATE))
