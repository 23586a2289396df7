"""The owner of all live state: polls, streams, discovery."""
