"""What tests need and users do not: a counting subscriber, a faulty proxy, the parts as one stack."""
