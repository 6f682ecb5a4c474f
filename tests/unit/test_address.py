"""The addresses of endpoints, and the names of variables: good, bad, and with a secret in them."""

import pytest
from pydantic import ValidationError

from steerability.chat.client import Endpoint
from steerability.chat.endpoint import proxy_for
from steerability.config.catalogue import ApiJudge, EndpointModel
from steerability.support.address import check_address, check_variable
from steerability.support.errors import UserError


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.org/v1",
        "https://api.example.org/v1/",
        "HTTP://localhost:8000",
        "http://my_service:8000/v1",
        "http://127.0.0.1:1/v1",
        "http://[::1]:65535/v1",
        "https://xn--bcher-kva.example/v1",
        "https://example.org./openai/deployments/gpt-4.1_mini/v1",
        "https://host/v1/accounts/0123456789abcdef/ai",
    ],
)
def test_a_good_address_is_left_as_it_is(url: str) -> None:
    assert check_address(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begin with http"),
        ("localhost:8000/v1", "begin with http"),
        ("api.example.org/v1", "begin with http"),
        ("ftp://host/v1", "begin with http"),
        ("file:///etc/passwd", "begin with http"),
        ("http:/host/v1", "begin with http"),
        ("http://", "no host"),
        ("http:///v1", "no host"),
        ("http://:8000/v1", "no host"),
        ("http://a..b/v1", "no host"),
        ("http://-a/v1", "no host"),
        ("http://1.2.3/v1", "no host"),
        ("http://1.2.3.999/v1", "no host"),
        (f"http://{'a' * 64}/v1", "no host"),
        ("http://[::1/v1", "port or a host"),
        ("http://[zz]/v1", "host"),
        ("http://host:99999/v1", "port"),
        ("http://host:-1/v1", "port"),
        ("http://host:http/v1", "port"),
        ("http://host:/v1", "port"),
        ("http://host:0/v1", "port"),
        ("http://host/v1 ", "blank"),
        (" http://host/v1", "blank"),
        ("http://ho st/v1", "blank"),
        ("http://host/v1\n", "blank"),
        ("http://host\t/v1", "blank"),
        ("http://host\x1b/v1", "blank"),
        ("http://host\\v1", "blank"),
        ("http://bücher.example/v1", "blank or a character"),
        ("http://{host}/v1", "blank"),
        ("http://host/" + "v" * 3000, "more than"),
        ("https://me:hunter2hunter2@host/v1", "key_env"),
        ("https://hunter2hunter2@host/v1", "key_env"),
        ("https://host/v1?api_key=hunter2hunter2", "key_env"),
        ("https://host/v1#hunter2hunter2", "key_env"),
        ("https://host/v1?", "query"),
        ("https://host/sk-hunter2hunter2hunter2/v1", "key_env"),
    ],
)
def test_a_bad_address_is_one_line_that_never_shows_it(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_address(url)
    with pytest.raises(UserError, match=why) as told:
        Endpoint(url, "m")
    for words in (str(caught.value), str(told.value)):
        assert "\n" not in words and "hunter2" not in words


def test_a_config_is_checked_by_the_same_words() -> None:
    model = {
        "source": "endpoint",
        "url": "http://host:1/v1",
        "model": "m",
        "size": "?",
        "stage": "C",
    }
    judge = {"kind": "api", "url": "http://host:1/v1", "model": "m"}
    EndpointModel.model_validate(model), ApiJudge.model_validate(judge)
    for url, why in [("host/v1", "begin with http"), ("http://me:pw@host/v1", "use|key_env")]:
        with pytest.raises(ValidationError, match=why):
            EndpointModel.model_validate(model | {"url": url})
        with pytest.raises(ValidationError, match=why):
            ApiJudge.model_validate(judge | {"url": url})
    for section, fields in ((EndpointModel, model), (ApiJudge, judge)):
        with pytest.raises(ValidationError, match="not the key"):
            section.model_validate(fields | {"key_env": "sk-0123-4567"})


def test_a_key_in_place_of_its_variable_is_not_shown() -> None:
    assert check_variable("OPENAI_API_KEY") == "OPENAI_API_KEY"
    for name in ("sk-0123-4567", "A B", "1A", "A=B", "Ä", "A\n"):
        with pytest.raises(UserError, match="takes the name") as caught:
            Endpoint("http://host/v1", "m", key_env=name)
        assert name not in str(caught.value)


def test_a_key_that_stands_in_the_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "0123456789abcdef")
    endpoint = Endpoint("http://host/0123456789abcdef/v1", "m", key_env="TEST_KEY")
    with pytest.raises(UserError, match="holds the key in TEST_KEY") as caught:
        endpoint.key()
    assert "0123456789abcdef" not in str(caught.value)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    return monkeypatch


def test_a_proxy_is_the_environments(no_proxies: pytest.MonkeyPatch) -> None:
    assert proxy_for("https://a.example/v1") is None
    no_proxies.setenv("ALL_PROXY", "proxy.example:3128")
    assert proxy_for("https://a.example/v1") == "http://proxy.example:3128"
    no_proxies.setenv("https_proxy", "http://me:pw@other.example:1")
    assert proxy_for("https://a.example/v1") == "http://me:pw@other.example:1"
    assert proxy_for("http://a.example/v1") == "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("words", "direct"),
    [
        ("a.example", True),
        (".example", True),
        ("*", True),
        ("b.example, a.example", True),
        ("10.0.0.0/8,::1,[::1,fe80::/10, ,(,*.a,http://[,a b", False),
        ("", False),
    ],
)
def test_words_of_no_proxy_that_name_no_host_are_passed_over(
    no_proxies: pytest.MonkeyPatch, words: str, direct: bool
) -> None:
    no_proxies.setenv("ALL_PROXY", "http://proxy.example:3128")
    no_proxies.setenv("NO_PROXY", words)
    assert (proxy_for("https://a.example/v1") is None) is direct
    no_proxies.setenv("NO_PROXY", "::1")
    assert proxy_for("http://[::1]:8000/v1") is None


@pytest.mark.parametrize(
    "proxy",
    ["socks5://host:1080", "socks5h://me:pw@host:1", "http://", "http://[", "http://h:x", "://"],
)
def test_a_proxy_that_cannot_be_used_is_one_line(
    no_proxies: pytest.MonkeyPatch, proxy: str
) -> None:
    no_proxies.setenv("ALL_PROXY", proxy)
    with pytest.raises(UserError, match="NO_PROXY") as caught:
        proxy_for("https://a.example/v1")
    assert "pw" not in str(caught.value) and "\n" not in str(caught.value)
