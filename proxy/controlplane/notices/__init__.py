"""The built-in notifier: tells of what is wrong, for those who have no Prometheus and Alertmanager.

A thread of the control plane looks at the same figures as /metrics shows: `window` remembers them, `conditions` are what is wrong with them,
`board` knows which alerts hold and since when, `told` knows what each channel was told and what it still has to be, `outbox` brings it there.
"""
