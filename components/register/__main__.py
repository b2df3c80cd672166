"""`python -m components.register`: the register stage as a command."""

import sys

from components.catalog import REGISTER
from components.core.command import main

sys.exit(main(REGISTER))
