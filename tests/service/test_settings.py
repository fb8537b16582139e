"""What the operator may set: names, forms, ranges and defaults."""

from __future__ import annotations

import pytest

from service.errors import ConfigurationError
from service.settings import Settings

NEEDED = {
    "AWS_REGION": "eu-north-1",
    "CEDARFLEET_IOT_DATA_ENDPOINT": "a1b2-ats.iot.eu-north-1.amazonaws.com",
    "CEDARFLEET_WORK_QUEUE_URL": "https://sqs.eu-north-1.amazonaws.com/123456789012/work",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AWS_REGION": ""}, "AWS_REGION is not set"),
        (
            {"CEDARFLEET_IOT_DATA_ENDPOINT": ""},
            "CEDARFLEET_IOT_DATA_ENDPOINT is not set: give what",
        ),
        ({"CEDARFLEET_PROT": "8000"}, "unknown setting CEDARFLEET_PROT"),
        ({"CEDARFLEET_PORT": "http"}, "CEDARFLEET_PORT must be a number, not `http`"),
        ({"CEDARFLEET_PORT": "70000"}, "CEDARFLEET_PORT must be 0 to 65535"),
        (
            {"CEDARFLEET_TOKEN_CACHE_SECONDS": "nan"},
            "CEDARFLEET_TOKEN_CACHE_SECONDS must be a number of at least 0",
        ),
        ({"CEDARFLEET_URL_TTL_SECONDS": "59"}, "CEDARFLEET_URL_TTL_SECONDS must be 60 to 3600"),
        ({"CEDARFLEET_WORK_QUEUE_URL": ""}, "CEDARFLEET_WORK_QUEUE_URL is not set: give the"),
        ({"CEDARFLEET_WORK_QUEUE_URL": "work"}, "CEDARFLEET_WORK_QUEUE_URL must be like"),
        ({"CEDARFLEET_JWKS_URL_TEMPLATE": "http://x"}, "must contain `{pool}`"),
        ({"HTTPS_PROXY": "http://me:secret@proxy:3128"}, "HTTPS_PROXY is set, and calls of AWS go"),
        ({"https_proxy": "http://proxy:3128"}, "name in NO_PROXY what it asks by itself: a1b2-ats"),
        ({"ALL_PROXY": "socks5://proxy"}, "ALL_PROXY is set"),
        (
            {"HTTPS_PROXY": "http://proxy", "NO_PROXY": "sts.eu-north-1.amazonaws.com,.internal"},
            "dynamodb.eu-north-1.amazonaws.com, verifiedpermissions",
        ),
        *(
            ({"CEDARFLEET_ISOLATION_CANARY": pair}, f"`{pair}`: give two tenants' ids, as `acme,gl")
            for pair in ("acme", "acme,", ",globex", "acme,acme", "acme,globex,", "a,b,c")
        ),
    ],
)
def test_wrong_settings_are_told_by_name(changes: dict[str, str], words: str) -> None:
    """The variable, what is wrong and what would be right."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.read(NEEDED | changes)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"NO_PROXY": "localhost,.amazonaws.com"},
        {"no_proxy": "amazonaws.com"},
        {"NO_PROXY": "*"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
    ],
)
def test_a_proxy_that_aws_is_left_out_of_is_none(changes: dict[str, str]) -> None:
    """`NO_PROXY` names all that the service asks, or nothing of it is AWS."""
    Settings.read(NEEDED | {"HTTPS_PROXY": "http://proxy:3128"} | changes)


def test_settings_state_every_default() -> None:
    """With region, data plane and queue alone they stand, and an empty variable counts as unset."""
    settings = Settings.read(NEEDED | {"CEDARFLEET_PORT": "", "HOME": "/"})
    assert (settings.aws.region, settings.http.port, settings.tenants.table) == (
        "eu-north-1",
        0,
        "cedarfleet-tenants",
    )


def test_each_variable_reaches_its_group() -> None:
    """The names by which the platform's stack and an operator set them."""
    settings = Settings.read(
        NEEDED
        | {
            "CEDARFLEET_UNKNOWN_TENANT_CACHE_SECONDS": "1.5",
            "CEDARFLEET_JWKS_URL_TEMPLATE": "http://x/{pool}",
            "CEDARFLEET_AWS_THREADS": "7",
            "CEDARFLEET_RECORD_DAYS": "2",
            "CEDARFLEET_URL_TTL_SECONDS": "60",
        }
    )
    assert settings.tenants.unknown_cache_seconds == 1.5
    assert settings.jwks.url_template == "http://x/{pool}"
    assert settings.aws.threads == 7
    assert settings.records.record_seconds == 2 * 24 * 3600
    assert settings.jobs.url_ttl_seconds == 60
    queue = "arn:aws:sqs:eu-north-1:123456789012:work"
    assert settings.work.queue_arn(settings.aws.region) == queue


def test_the_embedded_cloud_is_the_data_plane() -> None:
    """Where all of AWS is one address, that of an account is not dialled."""
    local = "http://127.0.0.1:4566"
    for own in ("localhost:8883", ""):
        changes = {"AWS_ENDPOINT_URL": local, "CEDARFLEET_IOT_DATA_ENDPOINT": own}
        assert Settings.read(NEEDED | changes).aws.iot_data_url == local
