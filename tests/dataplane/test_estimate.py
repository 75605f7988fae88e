from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Usage
from proxy.dataplane.estimate import ByteRatios


def test_estimates_approach_what_a_model_reports():
    ratios = ByteRatios()
    before = ratios.estimate("m", 10_000, 1000)
    for _ in range(100):
        ratios.learn("m", 10_000, 1000, Usage(input_tokens=5000, output_tokens=500))
    after = ratios.estimate("m", 10_000, 1000)
    assert abs(after.input_tokens - 5000) < 150 and abs(after.output_tokens - 500) < 20
    assert before.input_tokens < 3000
    assert ratios.estimate("other", 10_000, 1000) == before


def test_reasoning_is_no_visible_output():
    ratios = ByteRatios()
    for _ in range(100):
        ratios.learn("m", 1000, 1000, Usage(input_tokens=250, output_tokens=5250, reasoning_tokens=5000))
    assert abs(ratios.estimate("m", 0, 1000).output_tokens - 250) < 15


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9)), max_size=50))
def test_no_report_makes_an_absurd_estimate(reports):
    ratios = ByteRatios()
    for prompt, output, input_tokens, output_tokens in reports:
        ratios.learn("m", prompt, output, Usage(input_tokens=input_tokens, output_tokens=output_tokens))
    usage = ratios.estimate("m", 40_000, 40_000)
    assert 1000 <= usage.input_tokens <= 80_000 and 1000 <= usage.output_tokens <= 80_000
