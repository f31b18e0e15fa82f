"""What a person reads when the work is done."""
