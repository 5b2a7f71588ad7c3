"""Write opsmigrate/json_schemas: a JSON Schema (draft 2020-12) of each report and file.

    python scripts/json_schemas.py

They are made of opsmigrate.facts and of the dataclasses that the JSON is made of. A guard test
holds that the files are what this writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

FOLDER = ROOT / "opsmigrate" / "json_schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
Schema = dict[str, Any]


class Definitions:
    """What a schema defines under `$defs`, by the names of the types."""

    def __init__(self) -> None:
        """Begin with none."""
        self.found: dict[str, Schema] = {}

    def schema_of(self, hint: Any) -> Schema:
        """Return the schema of a type annotation."""
        if hint is Any:
            return {}
        if hint is None or hint in PLAIN:
            return {"type": PLAIN[hint or NoneType]}
        if is_dataclass(hint) or is_typeddict(hint):
            return self._referred(hint)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return {"enum": [each.value for each in hint]}
        return self._generic(hint, get_origin(hint), get_args(hint))

    def _generic(self, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Schema:
        if origin is Annotated:
            # The last shape says the most: see shaped() in opsmigrate.json_files.
            return self._annotated(arguments)
        if origin is Literal:
            return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        if origin in (Union, UnionType):
            return self._any_of([self.schema_of(each) for each in arguments])
        if origin is tuple and arguments[-1] is not Ellipsis:
            items = [self.schema_of(each) for each in arguments]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
        if issubclass(origin, Mapping):
            values = self.schema_of(arguments[1])
            return {"type": "object", **({"additionalProperties": values} if values else {})}
        if issubclass(origin, Sequence):
            return {"type": "array", "items": self.schema_of(arguments[0])}
        raise TypeError(hint)

    def _annotated(self, arguments: tuple[Any, ...]) -> Schema:
        from opsmigrate.json_files import OR_EMPTY

        shapes = [self.schema_of(each) for each in arguments[1:] if each != OR_EMPTY]
        empty = [{"type": "object", "maxProperties": 0}] if OR_EMPTY in arguments else []
        return self._any_of([*shapes, *empty])

    def _any_of(self, schemas: list[Schema]) -> Schema:
        types = [each["type"] for each in schemas if [*each] == ["type"]]
        rest = [each for each in schemas if [*each] != ["type"]]
        if types:
            rest.append({"type": types[0] if len(types) == 1 else types})
        return rest[0] if len(rest) == 1 else {"anyOf": rest}

    def _referred(self, kind: Any) -> Schema:
        name = kind.__name__.lstrip("_")
        if name not in self.found:
            self.found[name] = {}
            self.found[name] = self.object_of(kind)
        return {"$ref": f"#/$defs/{name}"}

    def object_of(self, kind: Any) -> Schema:
        """Return the schema of a dataclass as asdict() writes it, or of a TypedDict."""
        hints = get_type_hints(kind, include_extras=True)
        required = [name for name in hints if self._is_required(kind, name)]
        return {
            "description": " ".join((kind.__doc__ or kind.__name__).partition("\n\n")[0].split()),
            "type": "object",
            "properties": {name: self.schema_of(hint) for name, hint in hints.items()},
            "required": sorted(required),
        }

    def _is_required(self, kind: Any, name: str) -> bool:
        return is_dataclass(kind) or name in kind.__required_keys__


def facts_of_commands() -> dict[str, Any]:
    """Return the type of each command's facts."""
    from opsmigrate.facts import (
        backup_db,
        check_drift,
        fleet,
        migrate_safely,
        preflight_migrate,
        restore_db,
        run_playbook,
        run_uat,
        uat_load,
        uat_scan,
        verify_backup,
    )
    from opsmigrate.facts import seed_payment_id as seed

    return {
        "backfill_field": seed.SeedFacts,
        "backup_db": backup_db.BackupFacts,
        "check_drift": check_drift.DriftFacts,
        "fleet": fleet.FleetFacts,
        "migrate_safely": migrate_safely.MigrateSafelyFacts,
        "preflight_migrate": preflight_migrate.PreflightFacts,
        "restore_db": restore_db.RestoreFacts,
        "run_playbook": run_playbook.PlaybookFacts,
        "run_uat": run_uat.UatFacts,
        "seed_payment_id": seed.SeedFacts,
        "uat_load": uat_load.LoadFacts,
        "uat_scan": uat_scan.ScanFacts,
        "verify_backup": verify_backup.VerifyFacts,
    }


def keys_of(facts: Any) -> set[str]:
    """Return the keys of facts, at any depth, but for the summary."""
    known = Definitions()
    known.schema_of(facts)
    return {key for each in known.found.values() for key in each["properties"]} - {"summary"}


def schemas() -> dict[str, Schema]:
    """Return the schemas by the names of their files."""
    from opsmigrate.facts.report import Facts
    from opsmigrate.facts.run_uat import UatFacts, UatReport
    from opsmigrate.manifest import Manifest
    from opsmigrate.playbook.journal_lines import JournalLine, WebhookBody
    from opsmigrate.uat.baseline.record import Baseline

    found = {name: _report(name, kind) for name, kind in facts_of_commands().items()}
    found["report"] = _report(None, Facts)
    found["uat_report"] = _report("run_uat", UatFacts, body=UatReport)
    found["manifest"] = _file(Manifest, 2, {"seal": {"type": "string"}})
    sealed = {"kind": {"const": "uat-baseline"}, "sha256": {"type": "string"}}
    found["baseline"] = _file(Baseline, 1, sealed)
    found["journal_line"] = _any(JournalLine)
    found["webhook"] = _any(WebhookBody)
    return {name: _named(name, schema) for name, schema in found.items()}


def _report(command: str | None, facts: Any, body: Any = None) -> Schema:
    from opsmigrate.facts.report import ReportBody

    known = Definitions()
    schema = known.object_of(body or ReportBody)
    schema["properties"]["facts"] = known.schema_of(facts)
    if command is not None:
        schema["properties"]["command"] = {"const": command}
        # Otherwise every object with a summary would do.
        known.found["Facts"]["maxProperties"] = 1
    return {**schema, "$defs": known.found}


def _file(kind: Any, number: int, more: Schema) -> Schema:
    from opsmigrate.facts.report import KeyedSeal

    known = Definitions()
    schema = known.object_of(kind)
    defaults = {
        each.name
        for each in fields(kind)
        if each.default is not MISSING or each.default_factory is not MISSING
    }
    properties = {"schema": {"const": number}, **schema["properties"], **more}
    properties["keyed_seal"] = known.schema_of(KeyedSeal)
    required = {"schema", *schema["required"], *more} - defaults
    schema |= {"properties": properties, "required": sorted(required)}
    return {**schema, "$defs": known.found}


def _any(kind: Any) -> Schema:
    known = Definitions()
    return {**known.schema_of(kind), "$defs": known.found}


def _named(name: str, schema: Schema) -> Schema:
    definitions = dict(sorted(schema.pop("$defs").items()))
    head = {"$schema": DIALECT, "$id": f"urn:opsmigrate:schema:{name}"}
    return {**head, "title": f"opsmigrate {name}", **schema, "$defs": definitions}


def written(schema: Schema) -> str:
    """Return the text of a schema's file."""
    return json.dumps(schema, indent=2) + "\n"


def main() -> None:
    """Write the files, with settings that no database is needed for."""
    import django
    from django.conf import settings

    settings.configure(INSTALLED_APPS=["opsmigrate"])
    django.setup()
    for name, schema in schemas().items():
        (FOLDER / f"{name}.json").write_text(written(schema), encoding="utf-8")
    print(f"Written: {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
