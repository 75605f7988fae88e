"""The control plane with traces: `proxy.controlplane.plane`, and what sends them.

OpenTelemetry and gRPC take a third of a second and 25 MB to load; so the supervisor starts this module in its place where there is a collector.
"""

from __future__ import annotations

from proxy.controlplane.plane import main
from proxy.controlplane.traces.export import Exporter

if __name__ == "__main__":
    main(Exporter)
