"""Reports that other programs read, and the terms that they share."""
