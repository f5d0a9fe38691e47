"""Facts that the doctor collects: questions to Redis, the broker, the journal and Sockudo. Decides nothing."""
