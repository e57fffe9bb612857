"""Programs that run exported models apart from this package."""
