import pytest
from transformers import (
    AlbertConfig,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    XLNetConfig,
)

from kd_core.config import Architecture, StudentConfig
from kd_core.errors import ModelError
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.cnn import CNNConfig
from kd_core.models.loading import new_model
from kd_core.models.presets import MANY_CLASSES
from kd_core.models.size import encoder_size, flops_per_text, model_size, spaced, student_config
from kd_core.models.static import StaticConfig
from tests.unit.conftest import FAMILIES


def bert(layers=2, hidden=128, vocab=1000, classes=5):
    return BertConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=4 * hidden,
        num_labels=classes,
    )


def test_bert_by_hand():
    h, vocab = 128, 1000
    tables = (vocab + 512 + 2) * h
    layer = 4 * (h * h + h) + (h * 4 * h + 4 * h) + (4 * h * h + h) + 2 * 2 * h
    size = model_size(bert(), tokens=32)
    assert size.params == tables + 2 * h + 2 * layer + (h * h + h) + (5 * h + 5) == 607_749
    assert size.embedding_params == tables == 193_792
    assert size.embedding_share == pytest.approx(193_792 / 607_749)
    assert size.megabytes == pytest.approx(2.430996)
    matrices, once = 2 * 12 * h * h, h * h + 5 * h
    assert size.flops_per_token == 2 * matrices + 2 * once // 32 + 2 * 4 * 32 * h


def test_attention_grows_with_the_text():
    # 4 x 96 more tokens x 128 x 2 layers, less the share of the pooler and head
    short, long = model_size(bert(), tokens=32), model_size(bert(), tokens=128)
    once = 128 * 128 + 5 * 128
    saved = 2 * once // 32 - 2 * once // 128
    assert long.flops_per_token - short.flops_per_token == 4 * 96 * 128 * 2 - saved


def test_albert_layers_count_once_per_use():
    def albert(layers):
        return AlbertConfig(
            vocab_size=100,
            embedding_size=16,
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=64,
        )

    one, three = model_size(albert(1), tokens=8), model_size(albert(3), tokens=8)
    assert one.params == three.params
    layer = 4 * 32 * 32 + 2 * 32 * 64
    assert three.flops_per_token - one.flops_per_token == 2 * (2 * layer + 2 * 8 * 32 * 2)


def test_local_attention_is_bounded_by_its_window():
    config = ModernBertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        local_attention=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    )
    layer = 4 * 32 * 32 + 3 * 32 * 64  # the first part of the feed-forward layer is twice as wide
    head = 32 * 32 + 2 * 32
    assert model_size(config, tokens=100).flops_per_token == (
        2 * 3 * layer + 2 * head // 100 + 4 * 32 * (100 + 16 + 16)
    )


def test_bilstm_by_hand():
    config = BiLSTMConfig(vocab_size=50, hidden_size=8, lstm_size=4, intermediate_size=6, num_labels=3)
    size = model_size(config, tokens=10)
    lstm = 2 * (4 * 4 * (8 + 4) + 2 * 4 * 4)
    assert size.params == 50 * 8 + lstm + (8 * 6 + 6) + (6 * 3 + 3)
    assert size.embedding_params == 400
    assert size.flops_per_token == 2 * 2 * 4 * 4 * (8 + 4) + 2 * (8 * 6 + 6 * 3) // 10


def test_cnn_by_hand():
    config = CNNConfig(vocab_size=50, hidden_size=8, intermediate_size=6, num_labels=3)
    size = model_size(config, tokens=10)
    assert size.params == 50 * 8 + 2 * (2 + 3 + 4) * 8 + 6 + (6 * 3 + 3)
    assert size.embedding_params == 400
    assert size.flops_per_token == 2 * 2 * (2 + 3 + 4) * 8 + 2 * (6 * 3) // 10
    config.pairs = 100
    counts = model_size(config, tokens=10)
    assert (counts.params, counts.embedding_params) == (size.params + 100 * 3, 400 + 100 * 3)
    assert counts.flops_per_token == size.flops_per_token


def test_static_by_hand():
    config = StaticConfig(vocab_size=50, hidden_size=8, intermediate_size=6, num_labels=3, pairs=100)
    size = model_size(config, tokens=10)
    assert size.params == 50 * (8 + 1) + (8 * 6 + 6) + (6 * 3 + 3) + 100 * 3
    assert size.embedding_params == 50 * (8 + 1) + 100 * 3
    assert size.flops_per_token == 2 * (8 * 6 + 6 * 3) // 10


def test_flops_of_an_encoder_by_hand():
    # One layer of 4 with feed-forward of 8, 3 tokens, 2 classes.
    products = 3 * 2 * (4 * 16 + 2 * 4 * 8)
    attention = 4 * 3 * 3 * 4
    once = 2 * (16 + 4 * 2)
    flops = flops_per_text(1, 4, 8, tokens=3, classes=2)
    assert flops == products + attention + once == 768 + 144 + 48


def test_flops_equal_those_of_the_model():
    bert = BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, num_labels=5
    )
    expected = model_size(bert, tokens=16).flops_per_token * 16
    assert flops_per_text(3, 32, 3072, tokens=16, classes=5) == pytest.approx(expected, abs=16)
    bilstm = BiLSTMConfig(vocab_size=100, num_labels=5)
    expected = model_size(bilstm, tokens=16).flops_per_token * 16
    flops = flops_per_text(1, 300, 200, tokens=16, classes=5, student="bilstm")
    assert flops == pytest.approx(expected, abs=16)
    assert flops == 16 * 2 * 8 * 150 * 450 + 2 * (300 * 200 + 200 * 5)
    cnn = CNNConfig(vocab_size=100, num_labels=5)
    expected = model_size(cnn, tokens=16).flops_per_token * 16
    flops = flops_per_text(1, 128, 384, tokens=16, classes=5, student="cnn")
    assert flops == pytest.approx(expected, abs=16)
    assert flops == 16 * 2 * 128 * 128 * (2 + 3 + 4) + 2 * 384 * 5
    static = StaticConfig(vocab_size=100, num_labels=5)
    expected = model_size(static, tokens=16).flops_per_token * 16
    flops = flops_per_text(1, 128, 256, tokens=16, classes=5, student="static")
    assert flops == pytest.approx(expected, abs=16)
    assert flops == 2 * (128 * 256 + 256 * 5)


@pytest.mark.parametrize("classes", [MANY_CLASSES - 1, MANY_CLASSES])
def test_a_cnn_for_many_classes_reads_the_mean(classes):
    teacher = BertConfig(num_labels=classes)
    cnn = student_config(StudentConfig(model="cnn"), teacher, 100)
    assert cnn.mean is (classes == MANY_CLASSES)
    expected = model_size(cnn, tokens=16).flops_per_token * 16
    flops = flops_per_text(1, 128, 384, tokens=16, classes=classes, student="cnn")
    assert flops == pytest.approx(expected, abs=16)


def test_encoder_size_approximates_bert():
    guess, real = encoder_size(Architecture(layers=2, hidden=128, heads=2), 1000), model_size(bert())
    assert (guess.layers, guess.hidden, guess.heads) == (real.layers, real.hidden, real.heads)
    assert guess.embedding_params == 128 * 1000
    assert guess.params == pytest.approx(real.params, rel=0.15)  # without positions
    assert guess.flops_per_token == pytest.approx(real.flops_per_token, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_size_equals_the_real_model(family, tiny_teacher):
    model = tiny_teacher(family)
    size = model_size(model.config)
    assert size.params == sum(p.numel() for p in model.parameters())
    assert size.megabytes == pytest.approx(sum(4 * p.numel() for p in model.parameters()) / 1e6)


@pytest.mark.parametrize(
    ("count", "total", "layers"),
    [
        (3, 6, [0, 2, 4]),
        (2, 6, [0, 3]),
        (4, 12, [0, 3, 6, 9]),
        (3, 7, [0, 2, 4]),
        (4, 4, [0, 1, 2, 3]),
        (1, 1, [0]),
    ],
)
def test_spaced(count, total, layers):
    assert spaced(count, total) == layers


@pytest.mark.parametrize("family", FAMILIES)
def test_student_config_of_each_family(family, tiny_teacher):
    teacher = tiny_teacher(family).config
    before = teacher.to_dict()
    student = student_config(StudentConfig(model="custom", layers=3, hidden=16, heads=4), teacher, 77)
    model = new_model(student, 0)
    assert student.model_type == teacher.model_type
    assert (student.num_hidden_layers, student.hidden_size, student.num_attention_heads) == (3, 16, 4)
    assert model.get_input_embeddings().num_embeddings == 77
    assert student.id2label == teacher.id2label
    widths = {p.shape for p in model.base_model.parameters() if p.dim() == 2}
    assert any(64 in shape or 128 in shape for shape in widths)  # 4 x 16, twice that in ModernBERT
    assert not any(32 in shape for shape in widths)
    assert teacher.to_dict() == before


def test_presets_and_families():
    teacher = DistilBertConfig(dim=96, n_layers=6, n_heads=12, hidden_dim=200, num_labels=2)
    half = student_config(StudentConfig(model="half"), teacher, 100)
    third = student_config(StudentConfig(model="third"), teacher, 100)
    assert (half.n_layers, half.dim, half.n_heads, half.hidden_dim) == (3, 96, 12, 200)
    assert third.n_layers == 2
    tiny = student_config(StudentConfig(model="tiny", layers=9), teacher, 100)  # presets have their own sizes
    assert (tiny.n_layers, tiny.dim, tiny.n_heads, tiny.hidden_dim) == (2, 128, 2, 512)
    custom = student_config(StudentConfig(model="custom", intermediate=24), teacher, 100)
    assert custom.hidden_dim == 24
    electra = ElectraConfig(embedding_size=128, hidden_size=256)
    assert student_config(StudentConfig(model="custom", hidden=64), electra, 100).embedding_size == 64
    assert student_config(StudentConfig(model="tiny"), electra, 100).embedding_size == 128


def test_layer_types_of_modernbert():
    teacher = ModernBertConfig(num_hidden_layers=6)
    half = student_config(StudentConfig(model="half"), teacher, 60_000)
    assert half.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]


def test_special_ids_beyond_the_vocabulary():
    assert student_config(StudentConfig(model="tiny"), ModernBertConfig(), 1000).pad_token_id is None
    for pieces, pad in ((50_368, 50_283), (50_284, 50_283), (50_283, None)):
        made = student_config(StudentConfig(model="tiny"), ModernBertConfig(), pieces)
        assert made.pad_token_id == pad


def test_odd_heads_of_modernbert():
    with pytest.raises(ModelError, match=r"even size per head, got 5 \(hidden 10 / heads 2\)"):
        student_config(StudentConfig(model="custom", hidden=10, heads=2), ModernBertConfig(), 100)


def test_a_family_without_new_students():
    with pytest.raises(
        ModelError, match="No new student can be made from a xlnet teacher; families that can: bert"
    ):
        student_config(StudentConfig(model="tiny"), XLNetConfig(), 100)
    assert student_config(StudentConfig(model="bilstm"), XLNetConfig(), 100).hidden_size == 300
