"""`python -m automations.demo`: the demo with a picture of it, for the documentation."""

import argparse
import sys
from pathlib import Path

from automations.demo.run import run_demo

parser = argparse.ArgumentParser(prog="python -m automations.demo")
parser.add_argument("--quick", action="store_true", help="a shorter one")
parser.add_argument("--record", type=Path, metavar="SVG", help="save what the terminal showed at the end")
options = parser.parse_args()
sys.exit(run_demo(quick=options.quick, record=options.record))
