"""The OpenAPI description: FastAPI's, with our problems and sentences where it has its own."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from producer.api.door import OPEN
from producer.api.problems import MEDIA_TYPE, Problem

REPLACED = ("HTTPValidationError", "ValidationError")


def described(app: FastAPI) -> dict[str, Any]:
    """Describe an application, once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = schema["components"]["schemas"]
        for name in REPLACED:
            components.pop(name, None)
        ours = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(ours.pop("$defs"))
        components["Problem"] = ours
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                with_problems(operation, keyed=path not in OPEN)
                with_sentence(operation)
        app.openapi_schema = schema
    return app.openapi_schema


def with_problems(operation: dict[str, Any], *, keyed: bool) -> None:
    """Name the problems that an operation answers with: any, in one form."""
    answers = operation["responses"]
    if "422" in answers:
        answers["422"] = problem_answer("The request does not fit its schema.")
    if keyed:
        answers["401"] = problem_answer("No key, or one that is unknown or revoked.")
    if any(one["in"] == "path" for one in operation.get("parameters", ())):
        answers["404"] = problem_answer("There is no such thing, or it is not yours.")
    answers["default"] = problem_answer("Anything else that went wrong.")


def with_sentence(operation: dict[str, Any]) -> None:
    """Say in a list what an operation does: its first sentence, where FastAPI has a bare name."""
    first, _, rest = operation["description"].partition("\n")
    operation["summary"], operation["description"] = first.rstrip("."), rest.strip()


def problem_answer(description: str) -> dict[str, Any]:
    """Describe one answer that is a problem."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}
