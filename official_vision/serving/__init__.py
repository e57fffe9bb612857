"""SavedModels and predictions on whole videos."""
