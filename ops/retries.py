"""Which failures are worth another try: those that say nothing about the data.

A task that raised an error raises it again. A task whose worker was killed raised nothing: Airflow
misses its heartbeat, and starts it again on another worker. An object store that is away comes
back.
"""

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from pendulum import duration

UNLESS_IT_SAID_WHY = {
    "retries": 2,
    "retry_delay": duration(seconds=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception="include.object_store.StoreFailed",
                retry_delay=duration(seconds=10),
                reason="the object store may be back in a moment",
            ),
            RetryRule(
                exception=Exception,
                action=RetryAction.FAIL,
                reason="the same input fails the same way",
            ),
        ]
    ),
}
