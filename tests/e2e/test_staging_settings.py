"""staging_settings says in one sentence what is missing, and passes `check --deploy`."""

import pytest

from tests.conftest import Answer, environment_for, run

URL = "postgres://staging:staging@127.0.0.1:5432/staging"


def check(*options: str, url: str = URL, **variables: str) -> Answer:
    env = {"DATABASE_URL": url, "LOCAL_HTTP": "0", "DEBUG": "0", "ALLOWED_HOSTS": "", **variables}
    return run("manage.py", "check", *options, env=environment_for(None, **env))


def sentence(answer: Answer) -> str:
    """Return the one line on stderr."""
    assert answer.code == 1
    assert answer.stdout == ""
    [line] = answer.stderr.splitlines()
    return line


def test_without_a_database_url_it_says_what_to_set_with_an_example() -> None:
    assert sentence(check(url="")) == (
        "DATABASE_URL is not set; set it in the environment or in .env, for instance for the "
        f"PostgreSQL of compose.yaml: DATABASE_URL={URL}"
    )


def test_without_a_secret_key_it_says_how_to_make_one() -> None:
    assert sentence(check(SECRET_KEY="")) == (
        "SECRET_KEY is not set; set it in the environment or in .env, for instance the output of: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )


@pytest.mark.parametrize("url", ["mysql://a:hunter2@b/c", "sqlite:///x"])
def test_a_database_that_is_no_postgresql_is_refused(url: str) -> None:
    said = sentence(check(url=url))

    assert (
        said == f"DATABASE_URL does not name a PostgreSQL database; set it as in DATABASE_URL={URL}"
    )
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url", ["postgres://staging:hun#ter2@db:x5432/staging", "postgres://a:hunter2@[::1/c"]
)
def test_a_malformed_url_is_refused_and_its_password_not_repeated(url: str) -> None:
    said = sentence(check(url=url))

    assert said == (
        "DATABASE_URL cannot be read; percent-encode characters such as @ : / # in the password, "
        f"as in DATABASE_URL={URL}"
    )
    assert "hun" not in said


def test_plain_http_is_for_a_loopback_host_only() -> None:
    answer = check(LOCAL_HTTP="1", ALLOWED_HOSTS="127.0.0.1,staging.example.org")

    assert sentence(answer) == (
        "LOCAL_HTTP=1 is for a loopback host only, but ALLOWED_HOSTS is "
        "127.0.0.1,staging.example.org; unset LOCAL_HTTP, or set ALLOWED_HOSTS=127.0.0.1,localhost"
    )


def test_the_checks_for_deployment_are_clean() -> None:
    answer = check("--deploy", "--fail-level", "WARNING", ALLOWED_HOSTS="staging.example.org")

    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout == "System check identified no issues (0 silenced).\n"
