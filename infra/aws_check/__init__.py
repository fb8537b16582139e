"""`make aws-check`: what only an AWS account can tell, asked once with at most 50 calls."""
