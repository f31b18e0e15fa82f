"""How good a model is, counted on photos it has not seen."""
