"""The API description (OpenAPI) as one readable page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from gateway.pages.html import page, row, table

Document = Mapping[str, Any]
_CODE = re.compile("`([^`]+)`")


def docs(document: Document) -> str:
    """The page for a document as `gateway.openapi.document` makes it."""
    operations = [
        _operation(document, path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    schemas = [_schema(name, schema) for name, schema in document["components"]["schemas"].items()]
    return page(
        document["info"]["title"],
        _prose(document["info"]["description"])
        + '<p><a href="/openapi.json">openapi.json</a> · <a href="/errors">Error codes</a></p>'
        + "".join(operations)
        + "<section><h2>Schemas</h2></section>"
        + "".join(schemas),
    )


def _operation(document: Document, path: str, method: str, operation: Document) -> str:
    parameters = [_resolved(document, p) for p in operation.get("parameters", ())]
    return (
        f'<section id="{operation["operationId"]}"><h2><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code></h2><p>{_inline(operation['summary'])}</p>"
        + _prose(operation.get("description", ""))
        + (_parameters(parameters) if parameters else "")
        + _body(operation.get("requestBody"))
        + _responses(document, operation["responses"])
        + "</section>"
    )


def _parameters(parameters: list[Document]) -> str:
    rows = [
        row(f"<code>{escape(p['name'])}</code>", p["in"], "yes" if p.get("required") else "", _inline(p["description"]))
        for p in parameters
    ]
    return "<h3>Parameters</h3>" + table(("name", "in", "required", ""), rows)


def _body(body: Document | None) -> str:
    if body is None:
        return ""
    media = body["content"]["application/json"]
    shown = "".join(_json(example["value"]) for example in media.get("examples", {}).values())
    return f"<h3>Body: {_name(media['schema'])}</h3>{shown}"


def _responses(document: Document, responses: Document) -> str:
    rows = []
    for status, reference in responses.items():
        response = _resolved(document, reference)
        media: Document = next(iter(response.get("content", {}).values()), {})
        rows.append(row(status, _name(media.get("schema", {})), _inline(response["description"])))
    return "<h3>Answers</h3>" + table(("status", "body", ""), rows)


def _schema(name: str, schema: Document) -> str:
    return f'<details id="schema-{name}"><summary><code>{name}</code></summary>{_json(schema)}</details>'


def _name(schema: Document) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f'<a href="#schema-{name}"><code>{name}</code></a>'
    if schema.get("type") == "array":
        return f"array of {_name(schema['items'])}"
    return escape(str(schema.get("type", "")))


def _resolved(document: Document, part: Document) -> Document:
    found: Any = part
    if "$ref" in part:
        found = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return found  # type: ignore[no-any-return]


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
