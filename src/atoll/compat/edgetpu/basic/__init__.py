"""Any model."""
