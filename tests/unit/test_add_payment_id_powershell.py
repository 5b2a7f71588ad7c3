"""scripts/add_payment_id.ps1, read: its parameters, and where the password is and is not."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.powershell import aliases_of_parameters, assigned, every, parsed, text

SOURCE = (ROOT / "scripts" / "add_payment_id.ps1").read_text(encoding="utf-8")
TREE = parsed(SOURCE)


def test_it_takes_the_parameters_of_the_playbook_and_the_former_names() -> None:
    parameters = aliases_of_parameters(TREE)

    assert {name: parameters[name] for name in ("DbName", "DbHost", "DbPort", "DbUser")} == {
        "DbName": {"Database"},
        "DbHost": {"HostName"},
        "DbPort": {"Port"},
        "DbUser": {"User"},
    }
    # Every variable that is read is a parameter, or is set somewhere, or is PowerShell's own.
    read = {text(node).lstrip("$").partition(":")[0] for node in every(TREE, "variable")}
    made = {name.lstrip("$") for target, _ in assigned(TREE) for name in target.split(", ")}
    own = {"env", "LASTEXITCODE", "PSScriptRoot", "PSVersionTable", "null", "true", "false", "_"}
    assert read - set(parameters) - made - own == set()


def test_the_password_reaches_psql_in_a_file_of_the_childs_environment_only() -> None:
    [run] = [node for node in every(TREE, "command") if text(node).startswith("& psql")]
    block = next(node for node in every(TREE, "try_statement") if text(run) in text(node))
    [end] = [node for node in block.children if node.type == "finally_clause"]

    assert re.search(r"-w\b", text(run)), "psql itself must not ask"
    assert not re.search(r"plain|secret|escaped|password", text(run), re.IGNORECASE)
    before_it = [each for each in assigned(block) if each[0].startswith("$env:")]
    assert before_it[:2] == [("$env:PGPASSFILE", "$passfile"), ("$env:PGPASSWORD", "$null")]
    # The shell that called it has its own again, and the file is gone, whatever happens.
    assert ("$before", "$env:PGPASSFILE, $env:PGPASSWORD") in assigned(TREE)
    assert assigned(end) == [("$env:PGPASSFILE, $env:PGPASSWORD", "$before")]
    assert "Remove-Item -LiteralPath $passfile" in text(end)


def test_the_exit_codes_of_psql_are_told_apart() -> None:
    codes = [value for target, value in assigned(TREE) if target == "$code"]

    assert codes == ["1", "0", "3"]
    assert re.search(r"LASTEXITCODE -eq 0\) \{ \$code = 0 \}", SOURCE)
    assert re.search(r"LASTEXITCODE -eq 2\) \{ \$code = 3 \}", SOURCE)
    assert SOURCE.endswith("exit $code\n")
