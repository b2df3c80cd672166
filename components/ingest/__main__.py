"""`python -m components.ingest`: the ingest stage as a command."""

import sys

from components.catalog import INGEST
from components.core.command import main

sys.exit(main(INGEST))
