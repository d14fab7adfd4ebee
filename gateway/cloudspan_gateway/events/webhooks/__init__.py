"""Webhooks: events sent to URLs in their order, signed, again and again until they are received or a day has passed."""
