"""A real language model by name: refused in one sentence where it is not there, and adapted where it is."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data.dataset import Examples
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.language.lora import linear_layers, merged, with_adapters
from fedlearn_helpers.language.pretrained import load_causal_model
from fedlearn_helpers.language.text import TEXT
from fedlearn_helpers.partition import Shard

TOKENS = torch.randint(50, (12, 9), generator=torch.Generator().manual_seed(0))


class Conv1D(nn.Module):
    """GPT-2's linear layer: its weights are (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.weight, self.bias = nf, nn.Parameter(torch.randn(nx, nf) * 0.2), nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


class StandIn(nn.Module):
    """Returns an object with logits, as models of transformers do."""

    def __init__(self):
        super().__init__()
        self.embedding, self.c_fc, self.proj = nn.Embedding(50, 8), Conv1D(12, 8), nn.Linear(12, 8)
        self.lm_head = nn.Linear(8, 50, bias=False)

    def forward(self, tokens):
        return SimpleNamespace(logits=self.lm_head(self.proj(torch.tanh(self.c_fc(self.embedding(tokens))))))


@pytest.fixture
def transformers(monkeypatch):
    """Put a module in the place of transformers, which knows one model."""

    def only(value):
        def from_pretrained(name):
            if name != "there":
                raise OSError(f"{name} is not\na local folder")
            return value()

        return SimpleNamespace(from_pretrained=from_pretrained)

    module = ModuleType("transformers")
    module.AutoModelForCausalLM, module.AutoTokenizer = only(lambda: StandIn().to(torch.bfloat16)), only(object)
    monkeypatch.setitem(sys.modules, "transformers", module)
    return module


def test_without_the_package_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        InputError, match="^name='gpt2' needs the package transformers, which cannot be imported"
    ) as found:
        load_causal_model("gpt2")
    assert "pip install transformers" in str(found.value) and "\n" not in str(found.value)


def test_without_the_model_one_sentence_says_so(transformers):
    with pytest.raises(InputError, match="^name must be a causal model on the Hub or in a folder, got 'gone'") as found:
        load_causal_model("gone")
    assert "gone is not a local folder" in str(found.value) and "\n" not in str(found.value)


def check_federation(model):
    """Check that a federation tunes a model of tokens by its adapters alone."""
    torch.set_num_threads(1)
    tokens = TOKENS.to(torch.int32)
    dataset = Examples("tokens", TEXT, tokens[:, :-1], TOKENS[:, 1:], tokens[:4, :-1], TOKENS[:4, 1:])
    shards = [Shard(torch.arange(begin, begin + 5).numpy(), torch.tensor([begin + 5]).numpy()) for begin in (0, 6)]
    adapted = with_adapters(model, 2, alpha=4, seed=0)
    torch.testing.assert_close(adapted(TOKENS), model(TOKENS))
    config = LocalConfig(batch_size=5, learning_rate=0.1)
    result = federate(
        "fedavg", dataset, shards, num_rounds=2, local_config=config, seed=0, workers=1, model=adapted, label=None
    )
    learned = result.model.to_torch_state_dict()
    assert set(learned) == set(adapted.state_dict()) and all(
        name.endswith((".A.weight", ".B.weight")) for name in learned
    )
    adapted.load_state_dict(learned)
    assert not torch.equal(adapted(TOKENS), model(TOKENS))
    torch.testing.assert_close(merged(adapted)(TOKENS), adapted(TOKENS), rtol=1e-4, atol=1e-5)


def test_what_it_loads_is_tuned_by_its_adapters(transformers):
    torch.manual_seed(0)
    model, _ = load_causal_model("there")
    assert next(model.parameters()).dtype == torch.float32
    assert list(linear_layers(model)) == ["model.c_fc", "model.proj"], "not the last, which gives the scores"
    assert with_adapters(model, 2, alpha=4, seed=0).state_dict()["model/c_fc.A.weight"].shape == (2, 8)
    check_federation(model)


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_real_architecture_in_a_folder(tmp_path, family):
    import transformers

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}
    sizes |= {"intermediate_size": 32} if family == "llama" else {}
    config = transformers.AutoConfig.for_model(family, **sizes)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    vocabulary = {f"t{number}": number for number in range(50)}
    backend = __import__("tokenizers").Tokenizer(__import__("tokenizers").models.WordLevel(vocabulary, unk_token="t0"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path)
    model, tokenizer = load_causal_model(str(tmp_path))
    assert len(tokenizer) == 50 and "model.lm_head" not in linear_layers(model)
    assert len(linear_layers(model)) == {"gpt2": 8, "llama": 14}[family]
    check_federation(model)
