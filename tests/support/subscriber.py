"""The subscriber of bench, demo and tests, under the name that tests import it by."""

from sockudo_publisher.dev.subscriber import ANSWER_S, PATIENCE_S, POLL_S, Received, Subscriber, SubscriptionRefused

__all__ = ["ANSWER_S", "PATIENCE_S", "POLL_S", "Received", "Subscriber", "SubscriptionRefused"]
