"""`python -m components.register`: the register stage as a command."""

import sys

from components.catalog import REGISTER
from components.core.stage import main

sys.exit(main(REGISTER))
