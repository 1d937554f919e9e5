"""compat: legacy multi-network forms onto the podnet API."""
