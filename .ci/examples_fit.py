"""Every example of the document fits its schema: those of schemas, parameters, headers, bodies and answers.

    examples_fit.py DOCUMENT
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = json.loads(Path(sys.argv[1]).read_text())
REGISTRY = Registry().with_resource("document", Resource(contents=DOCUMENT, specification=DRAFT202012))


def absolute(value):
    """The schema with references that the registry knows."""
    if isinstance(value, dict):
        return {key: "document" + part if key == "$ref" else absolute(part) for key, part in value.items()}
    return [absolute(part) for part in value] if isinstance(value, list) else value


def faults(schema, example):
    checker = Draft202012Validator.FORMAT_CHECKER
    validator = Draft202012Validator(absolute(schema), registry=REGISTRY, format_checker=checker)
    return [f"{error.json_path} {error.message}" for error in validator.iter_errors(example)]


def examples(value, path=""):
    """Place, schema and example of everything below `value` that has one."""
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from examples(part, f"{path}/{index}")
    if not isinstance(value, dict):
        return
    schema = value["schema"] if "schema" in value and path.split("/")[-1] != "properties" else value
    if "example" in value and not path.endswith("/properties"):
        yield path, schema, value["example"]
    if isinstance(value.get("examples"), list):
        yield from ((path, schema, example) for example in value["examples"])
    for key, part in value.items():
        if key not in ("example", "examples"):
            yield from examples(part, f"{path}/{key}")


found = list(examples(DOCUMENT))
bad = [(path, fault) for path, schema, example in found for fault in faults(schema, example)]
for path, fault in bad:
    print(f"{path}: {fault}", file=sys.stderr)
print(f"{len(found)} examples, {len(bad)} do not fit")
sys.exit(1 if bad or len(found) < 100 else 0)
