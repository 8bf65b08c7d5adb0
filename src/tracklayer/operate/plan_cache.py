"""The plans that were compiled last: an editor asks for the same draft, or parts of it, again and again."""

from __future__ import annotations

from collections import OrderedDict

from tracklayer.catalog import Plan, PlanLimits, compile_plan
from tracklayer.model.destination import DestinationConfig
from tracklayer.model.event import encode_json

MOST_PLANS = 32


class PlanCache:
    """Compiles configurations, each as long as it is remembered only once."""

    def __init__(self, limits: PlanLimits) -> None:
        self._limits = limits
        self._plans: OrderedDict[bytes, Plan] = OrderedDict()

    def plan(self, config: DestinationConfig) -> Plan:
        """The plan of a configuration. Raises as `compile_plan` does; a refusal is not remembered."""
        try:
            key = encode_json(config)
        except RecursionError:  # nested so deeply that it will be refused, with its place
            return compile_plan(config, self._limits)
        plan = self._plans.pop(key, None) or compile_plan(config, self._limits)
        self._plans[key] = plan
        if len(self._plans) > MOST_PLANS:
            self._plans.popitem(last=False)
        return plan
