"""One question to a provider: what comes back of a good answer, and of everything that goes wrong.

The provider is the simulated one over the loopback, asked by the real client.
"""

import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from llm_inputs import KEY

from api_address import AddressRule
from domain import LLMProvider, TokenPrices
from exchange_simulator.llm_answers import STEADY, THINKER, SimulatedAnswer
from exchange_simulator.server import SimulatorServer
from llm_client import LLMClient, LLMError, Peculiarities, Question, QuestionRefused
from llm_usage import Usage, cost_of, estimated_tokens

MESSAGES = [
    {"role": "system", "content": "You trade."},
    {"role": "user", "content": "Decide now."},
]


@pytest.fixture(autouse=True)
def provider(simulator: SimulatorServer) -> Iterator[SimulatorServer]:
    simulator.faults.clear()
    simulator.llm.script.clear()
    simulator.llm.asked.clear()
    yield simulator
    simulator.faults.clear()


def client_at(url: str, key: str = KEY, local: bool = True) -> LLMClient:
    return LLMClient(LLMProvider(1, "Simulated", url, key), AddressRule(local), Peculiarities())


def question(model: str = STEADY, **more: Any) -> Question:
    return Question(model, MESSAGES, **{"timeout_seconds": 5.0, **more})


def test_an_answer_comes_back_with_its_reasoning_and_its_usage(simulator: SimulatorServer) -> None:
    simulator.llm.say(SimulatedAnswer("[]", reasoning="Nothing moves."))
    answer = client_at(simulator.llm_url).ask(question(THINKER))
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("[]", "Nothing moves.", "stop")
    # The simulator counts four letters a token, and has the system message in its cache.
    assert answer.usage == Usage(input=6, output=5, cached=3, reasoning=4)


def test_what_is_sent_is_what_was_asked(simulator: SimulatorServer) -> None:
    form = {"type": "json_object"}
    client_at(simulator.llm_url).ask(
        question(response_format=form, temperature=0.3, max_tokens=100)
    )
    (asked,) = simulator.llm.asked
    assert asked.key == KEY
    assert asked.body == {
        "model": STEADY, "messages": MESSAGES, "response_format": form, "temperature": 0.3,
        "max_tokens": 100,
    }  # fmt: skip


def test_the_environments_account_is_not_sent_to_another_provider(
    simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment-000000")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-environment")
    client_at(simulator.llm_url, key="").ask(question())
    assert simulator.llm.asked[-1].key == "none"


@pytest.mark.parametrize(
    ("fault", "params", "code", "try_again", "retry_after"),
    [
        ("401", {}, "llm_unauthorized", False, None),
        ("429", {}, "llm_rate_limited", True, None),
        ("429", {"retry_after": 7}, "llm_rate_limited", True, 7),
        ("500", {}, "llm_server_error", True, None),
        ("down", {}, "llm_unreachable", True, None),
        ("cut_stream", {}, "llm_unreachable", True, None),
        ("empty_choice", {}, "llm_empty_choice", True, None),
        ("not_json", {}, "llm_bad_answer", True, None),
        ("redirect", {"to": ["http://127.0.0.1:9/elsewhere"]}, "llm_redirect", False, None),
    ],
)  # fmt: skip
def test_a_failure_has_its_code(
    simulator: SimulatorServer, fault: str, params: dict[str, Any], code: str, try_again: bool,
    retry_after: float | None,
) -> None:  # fmt: skip
    simulator.faults.switch_on("llm", fault, **params)
    with pytest.raises(LLMError) as failed:
        client_at(simulator.llm_url).ask(question())
    assert failed.value.code == code
    assert failed.value.try_again is try_again
    assert failed.value.retry_after == retry_after
    assert KEY not in failed.value.message


def test_an_answer_that_takes_too_long_is_given_up(simulator: SimulatorServer) -> None:
    simulator.faults.switch_on("llm", "slow", seconds=1)
    with pytest.raises(LLMError) as failed:
        client_at(simulator.llm_url).ask(question(timeout_seconds=0.2))
    assert failed.value.code == "llm_timeout"


def test_a_refusal_is_an_answer_of_its_own(simulator: SimulatorServer) -> None:
    simulator.faults.switch_on("llm", "refusal")
    answer = client_at(simulator.llm_url).ask(question())
    assert answer.text == ""
    assert answer.refusal.startswith("I'm sorry")


def test_halves_of_characters_do_not_stand_in_an_answer(simulator: SimulatorServer) -> None:
    simulator.llm.say(SimulatedAnswer("\ud800 \ud83e\udd80 x", reasoning="\udfff"))
    answer = client_at(simulator.llm_url).ask(question())
    assert (answer.text, answer.reasoning) == ("\ufffd 🦀 x", "\ufffd")


def test_an_answer_that_was_cut_by_its_length_says_so(simulator: SimulatorServer) -> None:
    simulator.llm.say('{"decisions": []}')
    simulator.faults.switch_on("llm", "length")
    assert client_at(simulator.llm_url).ask(question()).cut_off


def test_usage_that_is_not_said_is_estimated_and_marked(simulator: SimulatorServer) -> None:
    simulator.llm.say("[]")
    simulator.faults.switch_on("llm", "no_usage")
    usage = client_at(simulator.llm_url).ask(question()).usage
    asked = estimated_tokens("You trade.Decide now.")
    assert usage == Usage(asked, estimated_tokens("[]"), estimated=True)


@pytest.mark.parametrize(
    ("fault", "option", "sent_later"),
    [
        ("no_temperature", {"temperature": 0.2}, set()),
        ("completion_tokens_only", {"max_tokens": 100}, {"max_completion_tokens"}),
    ],
)
def test_what_a_model_does_not_take_is_learned_once(
    simulator: SimulatorServer, fault: str, option: dict[str, Any], sent_later: set[str]
) -> None:
    simulator.faults.switch_on("llm", fault)
    client = client_at(simulator.llm_url)
    with pytest.raises(QuestionRefused) as refused:
        client.ask(question(**option))
    assert refused.value.try_again
    client.ask(question(**option))
    assert simulator.llm.asked[-1].body.keys() == {"model", "messages"} | sent_later


def test_an_address_that_is_not_allowed_is_not_asked(simulator: SimulatorServer) -> None:
    with pytest.raises(LLMError) as refused:
        client_at(simulator.llm_url, local=False).ask(question())
    assert refused.value.code == "llm_address_refused"
    assert not simulator.llm.asked


def test_an_unknown_model_is_refused_with_the_providers_words(simulator: SimulatorServer) -> None:
    with pytest.raises(LLMError, match="does not exist") as refused:
        client_at(simulator.llm_url).ask(question("gpt-0"))
    assert refused.value.code == "llm_refused"


def test_no_key_is_in_an_answer_an_error_or_a_log(
    simulator: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_at(simulator.llm_url)
    other = "sk-ANOTHER0123456789abcdef"
    simulator.llm.say(SimulatedAnswer(f'{{"key": "{KEY}"}}', reasoning=f"The key is {other}."))
    with caplog.at_level(logging.DEBUG):
        answer = client.ask(question())
        simulator.faults.switch_on("llm", "401")
        with pytest.raises(LLMError) as failed:  # the provider names the key that it was given
            client.ask(question())
    seen = "\n".join((answer.text, answer.reasoning, failed.value.message, repr(client.provider)))
    for secret in (KEY, other):
        assert secret not in seen
        assert secret not in caplog.text


def test_cost_is_exact_and_unknown_without_prices() -> None:
    usage = Usage(input=1_000_000, output=500_000, cached=400_000)
    prices = TokenPrices(Decimal("0.27"), Decimal("1.10"), Decimal("0.07"))
    assert cost_of(usage, prices) == Decimal("0.162") + Decimal("0.028") + Decimal("0.55")
    assert cost_of(usage, TokenPrices(Decimal(1), Decimal(2))) == Decimal(2)  # cached as the rest
    assert cost_of(usage, TokenPrices(input=Decimal(1))) is None
    assert cost_of(usage, None) is None


def test_tokens_are_estimated_rather_too_high() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("abcdef") == 2
    assert estimated_tokens("做多比特币") == 5
