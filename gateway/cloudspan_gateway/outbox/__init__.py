"""What has happened, kept in the same transaction as what it tells of, for whoever follows events."""
