import pytest

from tasks.stages.tweet_urls import url_spans


def urls(text: str) -> list[str]:
    return [text[start:end] for start, end in url_spans(text)]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "HTTPS://www.ExaMPLE.COM/index.html",
        "https://example.com:8080/path/to?search=foo&lang=en",
        "http://twitter.com/#!/twitter",
        "https://en.wikipedia.org/wiki/Tea_(meal)",
        "http://example.com/Русские_слова",
        "http://bücher.net/",
        "example.com",
        "www.example.org",
        "t.co",
        "foo.co.jp",
        "bbc.uk/news",
        "my-shop.dev",
    ],
)
def test_this_is_a_url(url):
    assert urls(url) == [url]
    assert urls(f"go to {url} now") == [url]


@pytest.mark.parametrize(
    "text",
    [
        "no links here",
        "3.14 and 2.30",
        "wait...what",
        "it is done.so what",  # one word before a country, no path
        "ada@example.com",
        "ftp.example",
        "v1.2.3",
        "#example.com",
        "e.g. this",
        "https://nowhere",
        "example.computer5",
    ],
)
def test_this_is_no_url(text):
    assert urls(text) == []


def test_punctuation_after_a_url_is_not_part_of_it():
    assert urls("(https://example.com/a). Then example.com/b, c.") == [
        "https://example.com/a",
        "example.com/b",
    ]
