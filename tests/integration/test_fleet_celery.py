"""fleet --engine celery: real workers, a real Redis, and everything that may happen to them."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.celery_workers import Worker, children_of, start_worker
from tests.conftest import Answer, start
from tests.fleet_schemas import Fleet
from tests.redis_servers import RedisServer, redis_server

# On a machine that has nothing else to do it is a quarter of that.
SECONDS = 400.0
COMMAND = "migrate_safely"
WHAT = (COMMAND, "--attempts", "1")
BROKEN, DRIFTED, LOCKED = "tenant_0002", "tenant_0003", "tenant_0006"
# Their processes wait until the test lets them go on.
LONG, KILLED = "tenant_0001", "tenant_0004"


@dataclass
class Bench:
    """A fleet, its broker, its workers, and what was written down of each process of a target."""

    fleet: Fleet
    redis: RedisServer
    stack: ExitStack
    variables: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.fleet.folder

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.fleet.environment,
            "DJANGO_SETTINGS_MODULE": "tests.fleet_on_celery.settings",
            "FLEET_FOLDER": str(self.folder),
            "FLEET_BROKER_URL": self.redis.url,
            "FLEET_AUDIT": str(self.folder / "audit"),
            "FLEET_COMMAND": COMMAND,
            # Each process of a target would be twice as slow with it.
            "PYTHONDEVMODE": "",
            **self.variables,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        argv = ["-m", "django", "fleet", *arguments, "--engine", "celery", "--format", "json"]
        process = start(*argv, env=self.environment, cwd=self.folder)
        self.stack.callback(_end, process)
        return process

    def hire(self, name: str, **options: Any) -> Worker:
        worker = start_worker(name, self.folder, self.environment, **options)
        self.stack.callback(worker.end)
        self.workers.append(worker)
        return worker

    def working_on(self, label: str) -> list[int]:
        """Return the process of a target that is at work."""
        lines = [each for each in self.audit() if each["label"] == label]
        ended = {each["pid"] for each in lines if each["what"] == "ended"}
        return [each["pid"] for each in lines if each["pid"] not in ended]

    def worker_of(self, label: str) -> Worker:
        """Return the worker that works on a target."""
        [pid] = self.working_on(label)
        return next(
            worker
            for worker in self.workers
            if any(pid in children_of(each) for each in worker.processes())
        )

    def begun_by(self, worker: Worker) -> set[str]:
        """Return the targets that a worker has begun."""
        files = self.folder.glob("reports/fleet/*/starts/*.json")
        starts = [json.loads(each.read_text()) for each in files]
        return {each["label"] for each in starts if each["worker"].startswith(f"{worker.name}@")}

    def open(self, label: str) -> None:
        """Let the process of a target go on."""
        (self.folder / f"audit.{label}").touch()

    def audit(self) -> list[dict[str, Any]]:
        file = self.folder / "audit"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def said_by_workers(self) -> str:
        return "\n".join(each.said() for each in self.workers)

    def outcomes(self) -> set[str]:
        return {each.stem for each in self.folder.glob("reports/fleet/*/outcomes/*.json")}


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.communicate()


@pytest.fixture
def bench(fleet: Callable[[int], Fleet], tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Yield a function that makes a fleet of so many tenants, with a Redis and without workers."""
    with ExitStack() as stack:

        def make(tenants: Fleet | int, **variables: str) -> Bench:
            found = fleet(tenants) if isinstance(tenants, int) else tenants
            redis = stack.enter_context(redis_server(tmp_path / "redis"))
            return Bench(found, redis, stack, variables)

        yield make


def until(true: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.05)
    return found


def answer_of(process: subprocess.Popen[str], seconds: float = SECONDS) -> Answer:
    stdout, stderr = process.communicate(timeout=seconds)
    return Answer(process.returncode, stdout, stderr)


def said_of_each(answer: Answer) -> dict[str, Any]:
    """Return what the report says, without what differs each time: times, ids, paths."""
    report, facts = answer.report, answer.report["facts"]
    return {
        "exit_code": answer.code,
        "verdict": report["verdict"],
        "summary": facts["summary"],
        "rows": [{**each, "what": _lasting(each["what"])} for each in facts["rows"]],
        "counts": facts["counts"],
        "findings": [(each["id"], _lasting(each["message"])) for each in report["findings"]],
        "targets": [
            (each["label"], each["verdict"], each["exit_code"], _lasting(each["summary"]))
            for each in facts["targets"]
        ],
    }


def _lasting(text: str | None) -> str:
    # Who holds a lock, and since when.
    return (text or "").partition(", held by")[0]


def decoded(text: str) -> str:
    """Return what a broker holds, and its messages decoded."""
    words = re.findall(r'\\?"body\\?": \\?"([A-Za-z0-9+/=]+)', text)
    return "\n".join([text, *(base64.b64decode(each).decode() for each in words)])


@pytest.mark.system
def test_whatever_happens_the_report_is_that_of_a_serial_run(
    bench: Callable[..., Bench],
    fleet: Callable[[int], Fleet],
    new_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    """A broken, a drifted and a locked tenant; a killed worker, a lost broker, a redelivery.

    Nothing is lost, nothing comes to its end twice, and the broker knows names only.
    """
    _everything_happens(bench, fleet(8), new_database, tmp_path, most=4)


@pytest.mark.long
def test_whatever_happens_to_a_thousand_tenants(
    bench: Callable[..., Bench],
    fleet: Callable[[int], Fleet],
    new_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    """The same with two workers of two processes each; about half an hour on two processors.

    FLEET_TENANTS says how many there are instead.
    """
    count = int(os.environ.get("FLEET_TENANTS", "1000"))
    began = time.monotonic()
    tenants = fleet(count)
    assert time.monotonic() - began < 180
    _everything_happens(bench, tenants, new_database, tmp_path, most=8, processes=2, seconds=7200)


def _everything_happens(
    bench: Callable[..., Bench],
    tenants: Fleet,
    new_database: Callable[..., str],
    tmp_path: Path,
    *,
    most: int,
    processes: int = 1,
    seconds: float = SECONDS,
) -> None:
    tenants.break_rows(BROKEN)
    tenants.execute(DRIFTED, "ALTER TABLE shop_customer RENAME email TO mail")
    connections[tenants.alias].close()
    name = connections.settings[tenants.alias]["NAME"]
    alone = Fleet(new_database(prefix="fleet_", template=name), tenants.schemas, tmp_path / "alone")
    alone.folder.mkdir()
    with locked(tenants), locked(alone):
        began = time.monotonic()
        serial = answer_of(
            # As many at a time as the workers are.
            alone.start(
                *("fleet", *WHAT, "--at-most", str(2 * processes), "--format", "json"),
                PYTHONDEVMODE="",
            ),
            seconds,
        )
        print(f"on this machine: {time.monotonic() - began:.0f} s")
        assert serial.report["facts"]["counts"].keys() >= {"passed", "failed"}, serial.stdout
        it = bench(tenants, FLEET_GATED=f"{LONG} {KILLED}", FLEET_VISIBILITY_TIMEOUT="1")
        began = time.monotonic()
        process = it.start(*WHAT, "--at-most", str(most))
        # Nobody works yet: what is sent stands in the broker.
        until(lambda: it.redis.client().llen("celery") == most, "the units are sent")
        held = [decoded(it.redis.everything())]
        for name in ("w1", "w2"):
            it.hire(name, processes=processes)
        until(lambda: it.working_on(LONG) and it.working_on(KILLED), "both are begun")
        held.append(decoded(it.redis.everything()))
        killed = it.worker_of(KILLED)
        killed.kill()
        # Its other process may have been at work too: that is begun again, as KILLED is.
        lost = it.begun_by(killed) - it.outcomes()
        it.open(KILLED)
        it.hire("w3", processes=processes)
        until(
            lambda: any("'already-running'" in each.said() for each in it.workers), "a redelivery"
        )
        until(lambda: len(it.outcomes()) >= 4, "four are done")
        it.redis.kill()
        it.redis.start()
        it.open(LONG)
        answer = answer_of(process, seconds)
        print(f"on workers, with all that happened: {time.monotonic() - began:.0f} s")
        held.append(decoded(it.redis.everything()))
    assert said_of_each(answer) == said_of_each(serial), answer.stderr
    assert tenants.migrated() == alone.migrated()
    assert tenants.migrated() == [
        each for each in tenants.schemas if each not in (BROKEN, DRIFTED, LOCKED)
    ]
    assert KILLED in lost
    assert len(lost) <= processes
    nothing_ran_twice(it, {LOCKED, *lost})
    assert "no Celery worker answers" in answer.stderr
    assert re.search(r"w[123]@\S+: tenant_", answer.stderr)
    assert "no worker has it; sent again" in answer.stderr
    only_names_were_told(it, held)


def nothing_ran_twice(it: Bench, retried: set[str]) -> None:
    """Each target's command came to its end once, and never two at a time."""
    ended = Counter(each["label"] for each in it.audit() if each["what"] == "ended")
    assert set(ended) == set(it.fleet.schemas)
    assert {label for label, times in ended.items() if times > 1} <= retried
    for label in it.fleet.schemas:
        lines = [each for each in it.audit() if each["label"] == label]
        ends = {each["pid"]: each["at"] for each in lines if each["what"] == "ended"}
        begun = sorted((each["at"], each["pid"]) for each in lines if each["what"] == "begun")
        for (_, pid), (next_begun, _) in pairwise(begun):
            # One without an end was killed.
            assert ends.get(pid, next_begun) <= next_begun, label


def only_names_were_told(it: Bench, held: list[str]) -> None:
    """In the broker stood no secret, no row and no argument: a run and a label, and no more."""
    settings = connections.settings[it.fleet.alias]
    assert re.search(r'^\[\["[\w.-]+", "tenant_\d+"\], \{\}, ', held[0], re.M), held[0]
    for text in held:
        for secret in (settings["PASSWORD"], "s" * 25, "postgres://", "@example.com", "same"):
            assert secret not in text
        assert COMMAND not in text
        assert not re.search("celery-task-meta", text)


class locked:
    """Hold a lock on a tenant's table in a long transaction, as an application that hangs."""

    def __init__(self, fleet: Fleet) -> None:
        self.connection = connections[fleet.alias].copy()

    def __enter__(self) -> None:
        self.connection.set_autocommit(False)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {LOCKED}.shop_customer")

    def __exit__(self, *ended: object) -> None:
        self.connection.close()


@pytest.mark.system
def test_a_unit_that_kills_its_worker_each_time_is_given_up(bench: Callable[..., Bench]) -> None:
    """Celery would deliver it for ever; the others are done."""
    it = bench(2, FLEET_KILLER="tenant_0001")
    it.hire("w1")
    answer = answer_of(it.start(*WHAT))
    assert answer.code == 3, answer.stderr
    found = {each["label"]: each for each in answer.report["facts"]["targets"]}
    assert {label: each["verdict"] for label, each in found.items()} == {
        "tenant_0001": "undecided",
        "tenant_0002": "passed",
    }
    assert found["tenant_0001"]["summary"] == (
        "it was begun 3 times, and no worker came to its end: see the workers' logs"
    )
    begun = Counter(each["label"] for each in it.audit() if each["what"] == "begun")
    assert begun == {"tenant_0001": 3, "tenant_0002": 1}
    # The worker says so to the broker after the outcome is written.
    until(lambda: it.redis.client().hlen("unacked") == 0, "nothing is delivered again", 30)


@pytest.mark.system
def test_results_may_go_through_a_storage_and_a_run_is_resumed(bench: Callable[..., Bench]) -> None:
    """The worker sees the storage only; the canary stops the run, which then goes on."""
    it = bench(2, FLEET_STORAGE="bucket")
    it.fleet.break_rows("tenant_0001")
    worker = it.hire("w1", pool="solo", prefetch=4)
    first = answer_of(it.start(*WHAT, "--canary", "1"))
    assert first.code == 1, first.stderr
    assert first.ids == ["fleet-stopped", "duplicate-values"]
    run = first.report["run_id"]
    in_bucket = {str(each.relative_to(it.folder / "bucket")) for each in _files(it, "bucket")}
    assert {f"{run}/outcomes/tenant_0001.json", f"{run}/reports/tenant_0001.json"} <= in_bucket
    # The queue is empty, and nothing is begun by whoever starts later.
    it.fleet.execute("tenant_0001", "UPDATE shop_customer SET email = id::text")
    second = answer_of(it.start("--resume", run))
    assert second.code == 0, second.stdout + second.stderr
    assert "w1@" in second.stderr
    assert "takes 4 units at a time and works on 1" in second.stderr
    assert it.fleet.migrated() == it.fleet.schemas
    counted = Counter(each["label"] for each in it.audit() if each["what"] == "ended")
    assert counted == {"tenant_0001": 2, "tenant_0002": 1}
    ours = it.folder / "reports" / "fleet" / run
    assert {each.name for each in (ours / "reports").iterdir()} == {
        f"{each}.json" for each in it.fleet.schemas
    }
    assert not (ours / "starts").exists()
    assert "'passed'" in worker.said()


def _files(it: Bench, folder: str) -> list[Path]:
    return [each for each in (it.folder / folder).rglob("*") if each.is_file()]


@pytest.mark.system
def test_workers_that_do_not_know_the_task_are_told_of_before_anything_is_sent(
    bench: Callable[..., Bench],
) -> None:
    """They would throw the messages away."""
    it = bench(1)
    worker = it.hire("w1", app="tests.fleet_on_celery.without_tasks")
    until(lambda: " ready." in worker.said(), "the worker is there")
    answer = answer_of(it.start(*WHAT))
    assert (answer.code, answer.ids) == (3, ["workers-without-task"]), answer.stderr
    assert it.redis.client().llen("celery") == 0
    assert it.audit() == []


def test_without_an_app_or_a_broker_one_sentence_says_so(
    fleet: Callable[[int], Fleet], tmp_path: Path
) -> None:
    """And nothing is begun; the password of the broker is not repeated."""
    tenants = fleet(1)
    ask = ("fleet", "preflight_migrate", "--engine", "celery", "--format", "json")
    answer = tenants.run(*ask)
    assert (answer.code, answer.ids) == (2, ["no-celery"])
    answer = tenants.run(
        *ask,
        DJANGO_SETTINGS_MODULE="tests.fleet_on_celery.settings",
        FLEET_FOLDER=str(tmp_path),
        FLEET_BROKER_URL="redis://:secret-of-the-broker@127.0.0.1:1/0",
    )
    assert (answer.code, answer.ids) == (3, ["no-broker"])
    said = answer.report["findings"][0]["message"]
    assert said == "the broker redis://:**@127.0.0.1:1/0 cannot be reached"
    assert "secret-of-the-broker" not in answer.stdout + answer.stderr
