"""What the tests of the web UI share."""

import functools
import json

import pytest
from pydantic import BaseModel


@pytest.fixture(scope="session", autouse=True)
def schemas_are_made_once():
    """Most of the time of `create_app` goes into schemas that are the same each time, and each test makes an app."""
    made = BaseModel.__dict__["model_json_schema"].__func__
    kept = functools.cache(lambda cls, **options: json.dumps(made(cls, **options)))

    def schema(cls, **options):
        return json.loads(kept(cls, **options))  # a copy of its own: the caller changes it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseModel, "model_json_schema", classmethod(schema))
        yield
