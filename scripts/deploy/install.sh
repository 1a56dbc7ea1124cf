#!/bin/sh
# Installs what the tests of the alerts and the dashboard need: promtool, Prometheus and its node_exporter (Debian, as root).
# None of them is started or enabled; ../debian.sh says the rest, and the exit statuses.
set -eu
. "$(dirname "$0")/../debian.sh"

need prometheus prometheus prometheus.service
need promtool prometheus
need prometheus-node-exporter prometheus-node-exporter prometheus-node-exporter.service
install_needed
