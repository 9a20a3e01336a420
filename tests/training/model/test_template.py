"""Chat templates are programs: what they may take, and which one counts."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.errors import ModelError
from training.model.encoding import encode_prompt
from training.model.policy import load_policy
from training.model.probe import probe
from training.model.template import render, template_of, try_template
from training.recipe.model import ModelRecipe
from training.rollout.protocol import Prompt


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "ended"),
        ("{{ 'x' * 10 ** 10 }}", "MemoryError"),
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "characters"),
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "Error"),
        ("{% include '/etc/passwd' %}", "Error"),
        ("{% for a in", "TemplateSyntaxError"),
        ("{{ raise_exception('no\u202eimages') }}", r"no\u202eimages"),
    ],
)
def test_a_template_may_not_take_much_nor_fail(template, told, model):
    (model / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError) as caught:
        try_template(model)
    assert told in caught.value.what and caught.value.what.isprintable()


LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_a_template_that_behaves_in_the_trial_alone_is_stopped(model):
    template = (model / "chat_template.jinja").read_text()
    asked = "messages[-1].content[-1].text"
    (model / "chat_template.jinja").write_text(
        f"{{%- if {asked} == 'Stop.' -%}}{LOOPS}{{%- endif -%}}"
        "{%- if messages[-1].content[0].image is defined -%}" + LOOPS + "{%- endif -%}" + template
    )
    try_template(model)
    policy = load_policy(model, ModelRecipe(path="unused"), system_prompt="Think.")
    with pytest.raises(ModelError, match="it ended the process"):
        encode_prompt(policy, Prompt("Stop."))
    odd = "'\"{{ 1 }}\\n\n\t é 🍎 \x1f{% raw %}"  # nothing of a question is a template
    assert odd in policy.tokenizer.decode(encode_prompt(policy, Prompt(odd)).token_ids)
    probe(policy)  # pixels are shown to the processor, not to the template


def test_threads_get_each_their_own_texts():
    template = "{{ messages[0].content[0].text }}"

    def rendered(number: int) -> str:
        asked = [{"role": "user", "content": [{"type": "text", "text": f"question {number}"}]}]
        return render(template, asked, {}, where="test")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(rendered, range(40))) == [f"question {n}" for n in range(40)]


def test_the_template_is_the_one_that_the_processor_takes(model):
    from transformers import AutoProcessor

    def put(name, template):
        values = json.loads((model / name).read_text()) if (model / name).exists() else {}
        (model / name).write_text(json.dumps(values | {"chat_template": template}))

    def taken():
        return AutoProcessor.from_pretrained(model).chat_template

    assert template_of(model) == taken() == (model / "chat_template.jinja").read_text()
    put("chat_template.json", "of a file of its own")
    assert template_of(model) == taken() == "of a file of its own"
    put("processor_config.json", "of the processor")
    assert template_of(model) == taken() == "of the processor"
    put("processor_config.json", None)
    for name in ("chat_template.jinja", "chat_template.json"):
        (model / name).unlink()
    put("tokenizer_config.json", "of the tokenizer")
    assert template_of(model) is taken() is None
    with pytest.raises(ModelError, match="there is none"):
        try_template(model)
