"""What the tests of the web UI share."""

import copy
import functools

import pytest
from pydantic import BaseModel


@pytest.fixture(scope="session", autouse=True)
def schemas_are_made_once():
    """Most of the time of `create_app` goes into schemas that are the same each time, and each test makes an app."""
    made = BaseModel.__dict__["model_json_schema"].__func__
    kept = functools.cache(made)

    def schema(cls, **options):
        return copy.deepcopy(kept(cls, **options))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseModel, "model_json_schema", classmethod(schema))
        yield
