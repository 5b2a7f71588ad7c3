"""Random histories of a small app: each migration a list of operations, as written in a file.

An operation is kept if the migration state takes it. Whether a database does is the question.
"""

import random
import re
from collections.abc import Callable
from typing import Any

from django.db.migrations.state import ModelState, ProjectState

from tests.drift.made_up_fields import NAMES, field, imports

APP = "zoo"
MODULE = """{imports}
class Migration(migrations.Migration):
    atomic = {atomic}
    replaces = {replaces}
    dependencies = {dependencies}
    operations = [
        {operations},
    ]
"""


class History:
    """Random migrations, one after the other; `migrations` has the operations of each."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
        self.state = ProjectState()
        self.made = 0
        self.known: dict[str, Any] = {}
        exec(imports(), self.known)  # noqa: S102 - our own text
        self.migrations: list[list[str]] = []
        for number in range(self.random.randint(4, 9)):
            self.migrations.append(self._migration(first=number == 0))

    def files(self, squashed: int = 0) -> dict[str, str]:
        """Return the text of each file; with `squashed`, one more replaces so many of the first."""
        files = {}
        for number, operations in enumerate(self.migrations, 1):
            before = [(APP, self.name(number - 1))] if number > 1 else []
            files[self.name(number)] = _module(operations, before)
        if squashed:
            replaced = [(APP, self.name(number)) for number in range(1, squashed + 1)]
            merged = [text for part in self.migrations[:squashed] for text in part]
            files["0001_squashed"] = _module(merged, [], replaced)
        return files

    def name(self, number: int) -> str:
        """Return the name of a migration, counted from 1."""
        return f"{number:04}_step"

    def _migration(self, *, first: bool) -> list[str]:
        operations: list[str] = []
        for _ in range(self.random.randint(1, 3) + 2 * first):
            text = self._accepted(first=first)
            if text and "Concurrently" in text and operations:
                continue
            operations += [text] if text else []
            if text and "Concurrently" in text:
                break
        return operations or ["migrations.RunSQL('SELECT 1', '')"]

    def _accepted(self, *, first: bool) -> str | None:
        """Return an operation that the state takes, and change the state; None after ten tries."""
        for _ in range(10):
            way = self.create_model if first or not self._concrete() else self._way()
            text = way()
            if text is None:
                continue
            later = self.state.clone()
            try:
                for operation in eval(f"[{text}]", self.known):  # noqa: S307 - our own text
                    operation.state_forwards(APP, later)
                # Rendered anew, as by a migrate that begins here.
                later.__dict__.pop("apps", None)
                later.apps  # noqa: B018 - renders every model, or raises
            except Exception:  # noqa: S112 - what the state does not take is no history
                continue
            self.state = later
            return text
        return None

    def _way(self) -> Callable[[], str | None]:
        ways: dict[Callable[[], str | None], int] = {
            self.create_model: 2,
            self.create_child: 1,
            self.create_proxy: 1,
            self.add_field: 6,
            self.add_many_to_many: 1,
            self.alter_field: 8,
            self.rename_field: 2,
            self.remove_field: 2,
            self.rename_model: 1,
            self.delete_model: 1,
            self.rename_table: 1,
            self.add_index: 4,
            self.add_constraint: 5,
            self.remove_index: 1,
            self.remove_constraint: 1,
            self.rename_index: 1,
            self.unique_together: 2,
            self.table_comment: 1,
            self.run_sql: 1,
            self.run_python: 1,
        }
        way = self.random.choices(list(ways), list(ways.values()))[0]
        return self._separated(way) if self.random.random() < 0.05 else way

    def _separated(self, way: Callable[[], str | None]) -> Callable[[], str | None]:
        """Return the operation of `way`, in two halves."""
        text = way()
        if text is None or "Concurrently" in text:
            return lambda: text
        return lambda: (
            f"migrations.SeparateDatabaseAndState(database_operations=[{text}],"
            f" state_operations=[{text}])"
        )

    def _concrete(self) -> list[ModelState]:
        return [model for model in self.state.models.values() if not model.options.get("proxy")]

    def _model(self) -> ModelState:
        return self.random.choice(self._concrete())

    def _fields(self, model: ModelState) -> list[str]:
        return [
            name
            for name, item in model.fields.items()
            if not item.primary_key and not item.many_to_many
        ]

    def _some(self, model: ModelState, most: int = 2) -> list[str]:
        names = self._fields(model)
        return self.random.sample(names, min(len(names), self.random.randint(1, most)))

    def _new_name(self, stem: str) -> str:
        self.made += 1
        return f"{stem}{self.made}"

    def _field(self) -> str:
        return field(self.random, [f"{APP}.{model.name}" for model in self._concrete()])

    def create_model(self) -> str:
        """A model, with a key of one of the usual types."""
        name = self._new_name("Model")
        key = self.random.choice(
            ["BigAutoField(primary_key=True)"] * 4
            + ["AutoField(primary_key=True)", "UUIDField(primary_key=True, default=uuid.uuid4)"]
            + ["CharField(primary_key=True, max_length=9)"]
        )
        chosen = self.random.sample(NAMES, self.random.randint(2, 5))
        fields = [f'("id", models.{key})', *(f'("{name}", {self._field()})' for name in chosen)]
        options = "{}"
        if self.random.random() < 0.2:
            options = f'{{"unique_together": {{("{chosen[0]}", "{chosen[1]}")}}}}'
        return f'migrations.CreateModel("{name}", [{", ".join(fields)}], options={options})'

    def create_child(self) -> str:
        """A model whose row has its first half in the table of another."""
        parent = self._model().name
        pointer = (
            f'("{parent.lower()}_ptr", models.OneToOneField("{APP}.{parent}", models.CASCADE,'
            " auto_created=True, parent_link=True, primary_key=True, serialize=False))"
        )
        own = f'("own{self.made}", {self._field()})'
        name, base = self._new_name("Child"), f'"{APP}.{parent.lower()}"'
        return f'migrations.CreateModel("{name}", [{pointer}, {own}], bases=({base},))'

    def create_proxy(self) -> str:
        """A proxy, which has no table."""
        name, base = self._new_name("Proxy"), f'"{APP}.{self._model().name.lower()}"'
        return f'migrations.CreateModel("{name}", [], options={{"proxy": True}}, bases=({base},))'

    def add_field(self) -> str | None:
        """A field more."""
        model = self._model()
        free = [name for name in NAMES if name not in model.fields]
        if not free:
            return None
        name = self.random.choice(free)
        return f'migrations.AddField("{model.name_lower}", "{name}", {self._field()})'

    def add_many_to_many(self) -> str:
        """A table between two models, or between a model and itself."""
        target = self.random.choice([f"{APP}.{self._model().name}", "self"])
        name, model = self._new_name("links"), self._model().name_lower
        return f'migrations.AddField("{model}", "{name}", models.ManyToManyField("{target}"))'

    def alter_field(self) -> str | None:
        """A field becomes another, mostly of the same type."""
        model = self._model()
        if not (names := self._some(model, 1)):
            return None
        old, new = type(model.fields[names[0]]).__name__, self._field()
        if old != "GeneratedField" and self.random.random() < 0.9:
            new = next(text for text in iter(self._field, "") if f"{old}(" in text)
        return f'migrations.AlterField("{model.name_lower}", "{names[0]}", {new})'

    def rename_field(self) -> str | None:
        """A field has another name."""
        model = self._model()
        if not (names := self._some(model, 1)):
            return None
        new = self._new_name("renamed")
        return f'migrations.RenameField("{model.name_lower}", "{names[0]}", "{new}")'

    def remove_field(self) -> str | None:
        """A field goes."""
        model = self._model()
        if not (names := self._some(model, 1)):
            return None
        return f'migrations.RemoveField("{model.name_lower}", "{names[0]}")'

    def rename_model(self) -> str:
        """A model has another name, and its table too."""
        return f'migrations.RenameModel("{self._model().name}", "{self._new_name("Other")}")'

    def delete_model(self) -> str:
        """A model goes."""
        return f'migrations.DeleteModel("{self._model().name}")'

    def rename_table(self) -> str:
        """A table has another name than its model."""
        name = self._new_name(self.random.choice(["Odd Table", "table"]))
        return f'migrations.AlterModelTable("{self._model().name}", "{name}")'

    def table_comment(self) -> str:
        """A table has a comment."""
        return f'migrations.AlterModelTableComment("{self._model().name}", "said of it")'

    def unique_together(self) -> str | None:
        """Fields are unique together, or no longer."""
        model = self._model()
        names = self._some(model, 2)
        value = f"{{{tuple(names)!r}}}" if len(names) == 2 else "set()"
        return f'migrations.AlterUniqueTogether("{model.name_lower}", {value})'

    def _condition(self, model: ModelState) -> str:
        name = self.random.choice(self._fields(model) or ["id"])
        return self.random.choice(
            [
                f"models.Q({name}__isnull=False)",
                f"models.Q({name}__gt=0)",
                f'models.Q({name}="a")',
                f"~models.Q({name}=None)",
            ]
        )

    def add_index(self) -> str | None:
        """An index of any kind."""
        model, name = self._model(), self._new_name("index")
        names = self._some(model)
        if not names:
            return None
        one, rest = names[0], f'name="{name}"'
        index = self.random.choice(
            [
                f"models.Index(fields={names!r}, {rest})",
                f'models.Index(fields=["-{one}"], {rest})',
                f"models.Index(fields=[{one!r}], condition={self._condition(model)}, {rest})",
                f'models.Index(Lower("{one}"), {rest})',
                f'models.Index(fields=["{one}"], include=["id"], {rest})',
                f'models.Index(fields=["{one}"], opclasses=["varchar_pattern_ops"], {rest})',
                f'GinIndex(fields=["{one}"], {rest})',
                f'BrinIndex(fields=["{one}"], {rest})',
                f'HashIndex(fields=["{one}"], {rest})',
            ]
        )
        kind = self.random.choice(["migrations.AddIndex"] * 4 + ["AddIndexConcurrently"])
        return f'{kind}("{model.name_lower}", {index})'

    def add_constraint(self) -> str | None:
        """A constraint of any kind."""
        model, name = self._model(), self._new_name("rule")
        names = self._some(model)
        if not names:
            return None
        rest = f'name="{name}"'
        constraint = self.random.choice(
            [
                f"models.UniqueConstraint(fields={names!r}, {rest})",
                f"models.UniqueConstraint(fields={names!r},"
                f" condition={self._condition(model)}, {rest})",
                f"models.UniqueConstraint(fields={names!r}, nulls_distinct=False, {rest})",
                f"models.UniqueConstraint(fields={names!r},"
                f" deferrable=models.Deferrable.DEFERRED, {rest})",
                f'models.UniqueConstraint(Lower("{names[0]}"), {rest})',
                f'models.UniqueConstraint(fields=["{names[0]}"], include=["id"], {rest})',
                f"models.CheckConstraint(condition={self._condition(model)}, {rest})",
                f"models.CheckConstraint(condition={self._condition(model)}, {rest})",
            ]
        )
        return f'migrations.AddConstraint("{model.name_lower}", {constraint})'

    def _named(self, option: str) -> tuple[str, str] | None:
        found = [(m.name_lower, item.name) for m in self._concrete() for item in m.options[option]]
        return self.random.choice(found) if found else None

    def remove_index(self) -> str | None:
        """An index goes."""
        if not (found := self._named("indexes")):
            return None
        kind = self.random.choice(["migrations.RemoveIndex", "RemoveIndexConcurrently"])
        return f'{kind}("{found[0]}", "{found[1]}")'

    def rename_index(self) -> str | None:
        """An index has another name."""
        if not (found := self._named("indexes")):
            return None
        new = self._new_name("renamed")
        return f'migrations.RenameIndex("{found[0]}", new_name="{new}", old_name="{found[1]}")'

    def remove_constraint(self) -> str | None:
        """A constraint goes."""
        if not (found := self._named("constraints")):
            return None
        return f'migrations.RemoveConstraint("{found[0]}", "{found[1]}")'

    def run_sql(self) -> str | None:
        """A statement by hand."""
        model = self._model()
        if not (names := self._some(model, 1)):
            return None
        table, column = f"{APP}_{model.name_lower}", names[0]
        name = self._new_name("by_hand")
        return self.random.choice(
            [
                f"migrations.RunSQL('CREATE INDEX {name} ON {table} (\"{column}\")', '')",
                f"migrations.RunSQL('UPDATE {table} SET \"{column}\" = \"{column}\"', '')",
                f"migrations.RunSQL('DELETE FROM {table} WHERE \"{column}\" IS NULL', '')",
            ]
        )

    def run_python(self) -> str | None:
        """Code that reads or writes the rows of a model."""
        model = self._model()
        if not (names := self._some(model, 1)):
            return None
        rows = f'apps.get_model("{APP}", "{model.name}").objects'
        done = self.random.choice(
            [
                f"list({rows}.all())",
                f"{rows}.filter({names[0]}=None).delete()",
                f"{rows}.update({names[0]}=None)",
            ]
        )
        return f"migrations.RunPython(lambda apps, editor: {done}, migrations.RunPython.noop)"


def _module(
    operations: list[str], dependencies: list[Any], replaces: list[Any] | None = None
) -> str:
    text = ",\n        ".join(operations)
    return MODULE.format(
        imports=imports(),
        atomic=not re.search("Concurrently", text),
        replaces=replaces or [],
        dependencies=dependencies,
        operations=text,
    )
