"""How a request becomes a call of the reference, a query or a job."""
