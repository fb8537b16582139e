"""The ports answered in memory: complete twins of the AWS adapters, so that tests patch nothing."""
