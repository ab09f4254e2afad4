"""A storefront that shops, and faults with known answers: for the demo, the tests and the benchmarks."""

from funnelwatch.simulate.files import write
from funnelwatch.simulate.scenarios import SCENARIOS, Scenario
from funnelwatch.simulate.simulation import Simulation

__all__ = ["SCENARIOS", "Scenario", "Simulation", "write"]
