"""What all tests share."""

from hypothesis import HealthCheck, settings

from kd_core.system.process import collect_garbage_rarely

# A busy machine is slow; that is no fault of what is tested.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
collect_garbage_rarely()  # as the command and the dashboard do
