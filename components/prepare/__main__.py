"""`python -m components.prepare`: the prepare stage as a command."""

import sys

from components.catalog import PREPARE
from components.core.command import main

sys.exit(main(PREPARE))
