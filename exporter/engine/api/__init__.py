"""The narrow door to the engine, one module a subject: what the web UI, the REST API and the listeners may ask.

Every method may be called from any thread and blocks until the engine has answered. What changes something returns
when the change is on disk.

Raises, all of them: `FieldError` (one field is wrong), `UnknownError` (no such id), `TakenError` (name, MAC or address
is another's), `ForbiddenError` (not allowed by the configuration), `StoreError` (not on disk), `UnavailableError` (the
engine is stopping or too slow).
"""
