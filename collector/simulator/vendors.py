"""The list of simulated vendors. `collector simulate` and `collector demo` serve all of them."""

from collector.simulator.base import SimulatedVendor
from collector.simulator.seemetrix import Seemetrix
from collector.simulator.vidicenter import VidiCenter

VENDORS: tuple[type[SimulatedVendor], ...] = (Seemetrix, VidiCenter)
