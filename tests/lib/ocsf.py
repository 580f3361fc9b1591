# SPDX-License-Identifier: Apache-2.0
"""Events of the Open Cybersecurity Schema Framework, judged by the framework's own schema.

    faults(event)       # what the schema of the event's class, version and profiles says against it; [] is what we want

The schema demands what its classes and objects require, and knows every attribute that may be there.
"""
import functools
import json

from .pymodules import need


@functools.cache
def validator(version: str, uid: int, profiles: tuple[str, ...]):
    need("ocsf-json-schema==1.2.0", "jsonschema==4.23.0")
    import jsonschema
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    return jsonschema.Draft202012Validator(schema.get_class_schema(class_name=schema.lookup_class_name_from_uid(class_uid=uid), profiles=list(profiles)))


def faults(event: dict) -> list[str]:
    v = validator(event["metadata"]["version"], event["class_uid"], tuple(event["metadata"]["profiles"]))
    return [f"{'.'.join(map(str, e.path))}: {e.message}"[:300] for e in v.iter_errors(event)]


def control(event: dict) -> list[str]:
    """Faults that are not found: an event without one of its parts, or with one that the framework does not have."""
    def changed(change) -> dict:
        copy = json.loads(json.dumps(event))
        change(copy)
        return copy

    wrong = {f"without {key}": changed(lambda e, key=key: e.pop(key)) for key in ("activity_id", "category_uid", "severity_id", "time", "type_uid")}
    wrong["without its product"] = changed(lambda e: e["metadata"].pop("product"))
    wrong["with a key of ours"] = changed(lambda e: e.update(kubefence=1))
    wrong["with a time that is a text"] = changed(lambda e: e.update(time="now"))
    wrong["with a resource that has no name"] = changed(lambda e: e["resources"].append({"type": "Pod"}))
    return [what for what, e in wrong.items() if not faults(e)]
