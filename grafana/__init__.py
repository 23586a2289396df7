"""What Grafana shows: dashboards as code, and their provisioning."""
