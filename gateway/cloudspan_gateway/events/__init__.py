"""Events in their order, from the outbox and from the inventory's changes, as each follower may see them."""
