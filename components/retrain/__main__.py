"""`python -m components.retrain`: the retrain stage as a command."""

import sys

from components.catalog import RETRAIN
from components.core.command import main

sys.exit(main(RETRAIN))
