"""The base class of the tasks, with types for what this package and its callers use of it.

Celery ships no types. A class whose base is unknown accepts every method name, so a type checker would miss
``publish.dely(...)``. Checkers therefore read the declarations below; at run time the base is a Celery task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery
    from celery.canvas import Signature

    class Task:
        """``celery.Task``, as far as it is used here."""

        name: str
        app: Celery
        request: Any

        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            """Send a message of this task."""

        def apply(self, *args: Any, **options: Any) -> Any:
            """Run the task in this process."""

        def retry(self, *args: Any, **options: Any) -> Exception:
            """Send the message again; raises ``Retry``."""

        def signature_from_request(self, *args: Any, **options: Any) -> Any:
            """The signature of a retry."""

        def bind(self, app: Celery) -> None:
            """Bind the task's class to an app."""

        def s(self, *args: Any, **kwargs: Any) -> Signature:
            """A signature for a canvas. In a chain the result of the task before is its first argument."""

        def si(self, *args: Any, **kwargs: Any) -> Signature:
            """A signature that ignores the result of the task before."""

else:
    from ..wiring.celery_isolation import OwnTask as Task

__all__ = ["Task"]
