"""The demo from its start to its exit code."""

import asyncio
import secrets
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from automations.demo.api import Api
from automations.demo.fleet import AGENTS, Fleet
from automations.demo.flows import FLOWS, OUTAGE_FLOW
from automations.demo.ledger import Ledger, read_settled_ledger
from automations.demo.process import LEASE_SECONDS, Server, ServerFailed, temporary_data_folder
from automations.demo.receiver import Receiver
from automations.demo.rules import RULES, create_automations
from automations.demo.screen import Screen
from automations.demo.tally import Arrival, Tally
