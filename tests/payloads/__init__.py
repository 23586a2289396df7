"""Every bundled driver against answers captured from real devices."""
