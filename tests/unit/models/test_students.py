import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertTokenizerFast,
)

from kd_core.config import StudentConfig
from kd_core.errors import ModelError
from kd_core.models.presets import architecture, other_network
from kd_core.models.students import build_student, resolve_init
from tests.unit.conftest import FAMILIES, LABELS

NARROW = {"model": "custom", "layers": 2, "hidden": 8, "heads": 2}
TEACHER = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)


def logits(model, tokenizer, texts):
    with torch.no_grad():
        return model.eval()(**tokenizer(list(texts), padding=True, return_tensors="pt")).logits


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def build(tiny_teacher, tiny_tokenizer, tiny_task):
    def build(family="bert", seed=0, **settings):
        teacher = tiny_teacher(family)
        config = StudentConfig(**{"fill_vocabulary": 0} | settings)
        student, tokenizer = build_student(config, teacher, tiny_tokenizer, tiny_task, seed)
        return teacher, student, tokenizer

    return build


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "half", "init": "teacher_layers"},
        {**NARROW, "init": "projected"},
        {**NARROW, "hidden": 64, "init": "random"},
    ],
    ids=["teacher_layers", "projected", "random"],
)
def test_every_family_and_start(family, settings, build, tiny_task, tmp_path):
    state = torch.get_rng_state()
    teacher, student, tokenizer = build(family, seed=3, **settings)
    assert torch.equal(torch.get_rng_state(), state)
    assert student.config.model_type == teacher.config.model_type
    assert student.config.num_hidden_layers == 2
    assert student.config.vocab_size == len(tokenizer) == student.get_input_embeddings().num_embeddings
    assert student.config.pad_token_id == tokenizer.pad_token_id
    assert student.dtype == torch.float32
    theirs = {p.untyped_storage().data_ptr() for p in teacher.parameters()}
    assert not any(p.untyped_storage().data_ptr() in theirs for p in student.parameters())

    again, other = build(family, seed=3, **settings)[1], build(family, seed=4, **settings)[1]
    assert same(student, again)
    assert not same(student, other)

    student.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, use_safetensors=True, trust_remote_code=False
    )
    reread = AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=False)
    expected = logits(student, tokenizer, tiny_task.test["text"])
    assert torch.equal(logits(loaded, reread, tiny_task.test["text"]), expected)
    assert [loaded.config.id2label[i] for i in range(5)] == list(LABELS)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_teacher_vectors(family, build, tiny_tokenizer, tiny_task, tmp_path):
    teacher, student, tokenizer = build(family, **NARROW, init="teacher_vectors")
    assert same(student, build(family, **NARROW, init="teacher_vectors")[1])

    pieces = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    start, end = tiny_tokenizer("")["input_ids"]
    ids = torch.tensor([[start, i, end] for i in tiny_tokenizer.convert_tokens_to_ids(pieces)])
    with torch.no_grad():
        alone = teacher.eval().base_model(input_ids=ids)[0].mean(dim=1)
    # Distances between the words are those of the teacher, as far as so few directions hold them.
    words = student.get_input_embeddings().weight.detach()
    u, values, _ = torch.linalg.svd((alone - alone.mean(dim=0)).double(), full_matrices=False)
    best = (u[:, :8] * values[:8]).float()
    theirs, mine = torch.cdist(best, best), torch.cdist(words, words)
    torch.testing.assert_close(mine / mine.max(), theirs / theirs.max(), atol=0.02, rtol=0.02)

    text = tiny_task.train["text"][0].split()
    forth, back = logits(student, tokenizer, [" ".join(text), " ".join(reversed(text))])
    other = logits(student, tokenizer, tiny_task.train["text"][1:2])[0]
    assert (forth - back).abs().max() < 0.1 * (forth - other).abs().max(), "a mean knows no order"

    inputs = tokenizer(tiny_task.train["text"][:8], padding=True, return_tensors="pt")
    with torch.no_grad():
        found = student.eval().base_model(**inputs, output_hidden_states=True)
    embedded, first, second = found.hidden_states
    assert (first - embedded).abs().max() > 0.1
    torch.testing.assert_close(second, first, msg="the second layer begins by adding nothing")
    if family == "bert":
        torch.testing.assert_close(found.pooler_output, second[:, 0].tanh())


def test_ids_of_special_pieces(tiny_teacher, tiny_tokenizer, tiny_task):
    pieces = sorted(tiny_tokenizer.get_vocab(), key=tiny_tokenizer.get_vocab().get)
    moved = {piece: i for i, piece in enumerate(pieces[5:] + pieces[:5])}
    last = BertTokenizerFast(vocab=moved, model_max_length=64)
    teacher = tiny_teacher("bert")
    teacher.config.pad_token_id = last.pad_token_id
    config = StudentConfig(**NARROW, init="random", fill_vocabulary=0)
    student, tokenizer = build_student(config, teacher, last, tiny_task, seed=0)
    assert 0 < tokenizer.pad_token_id < last.pad_token_id
    assert student.config.pad_token_id == student.get_input_embeddings().padding_idx == tokenizer.pad_token_id


@pytest.mark.parametrize("family", FAMILIES)
def test_all_layers_copy_the_teacher(family, build, tiny_tokenizer, tiny_task):
    teacher, student, tokenizer = build(
        family, model="custom", layers=4, hidden=32, heads=2, intermediate=64, init="teacher_layers"
    )
    assert len(tokenizer) < len(tiny_tokenizer)
    texts = tiny_task.train["text"][:8]
    inputs = [t(list(texts), padding=True, return_tensors="pt") for t in (tiny_tokenizer, tokenizer)]
    with torch.no_grad():
        outputs = [m.base_model(**i)[0] for m, i in zip((teacher, student), inputs, strict=True)]
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
    assert not torch.equal(list(teacher.parameters())[-2], list(student.parameters())[-2])  # the head is new


def test_half_copies_every_second_layer(build):
    teacher, student, _ = build(model="half", init="teacher_layers")
    theirs, mine = teacher.bert.encoder.layer, student.bert.encoder.layer
    for i, j in ((0, 0), (1, 2)):
        assert torch.equal(mine[i].output.dense.weight, theirs[j].output.dense.weight)
        assert not torch.equal(mine[i].output.dense.weight, theirs[j + 1].output.dense.weight)
    assert torch.equal(student.bert.pooler.dense.weight, teacher.bert.pooler.dense.weight)


def test_trimmed_embeddings(build, tiny_tokenizer, tiny_task):
    teacher, student, tokenizer = build(model="half")
    assert set(tokenizer.get_vocab()) < set(tiny_tokenizer.get_vocab())
    assert "unuseda" not in tokenizer.get_vocab()
    rows, old = student.get_input_embeddings().weight, teacher.get_input_embeddings().weight
    for piece, i in tokenizer.get_vocab().items():
        assert torch.equal(rows[i], old[tiny_tokenizer.convert_tokens_to_ids(piece)])


def test_filled_embeddings(build, tiny_tokenizer):
    small = build(model="half")[2].get_vocab()
    teacher, student, tokenizer = build(model="half", fill_vocabulary=len(small) + 2)
    added = set(tokenizer.get_vocab()) - set(small)
    assert added == {"unuseda", "unusedb"}, "those with the lowest ids"
    rows, old = student.get_input_embeddings().weight, teacher.get_input_embeddings().weight
    for piece, i in tokenizer.get_vocab().items():
        assert torch.equal(rows[i], old[tiny_tokenizer.convert_tokens_to_ids(piece)])


def test_untrimmed_vocabulary(build, tiny_tokenizer):
    _, student, tokenizer = build(model="half", trim_vocabulary=False)
    assert tokenizer.get_vocab() == tiny_tokenizer.get_vocab()
    assert student.config.vocab_size == len(tiny_tokenizer)


def test_projection_is_optimal(build):
    teacher, student, _ = build(**NARROW, init="projected", trim_vocabulary=False)
    fresh = build(**NARROW, init="random", trim_vocabulary=False)[1]
    words, mine = teacher.get_input_embeddings().weight, student.get_input_embeddings().weight
    assert mine.std().item() == pytest.approx(fresh.get_input_embeddings().weight.std().item(), rel=1e-5)

    singular = torch.linalg.svdvals(words.double())
    gram = mine.double().T @ mine.double()
    scale = gram[0, 0] / singular[0] ** 2
    torch.testing.assert_close(gram, scale * torch.diag(singular[:8] ** 2), atol=1e-4, rtol=1e-4)
    # The error of E V Vt is the sum of the squared singular values that are left out.
    directions = torch.linalg.lstsq(words, mine).solution
    missed = ((mine @ directions.T / scale - words) ** 2).sum()
    assert missed.item() == pytest.approx((singular[8:] ** 2).sum().item(), rel=1e-3)
    positions = teacher.bert.embeddings.position_embeddings.weight @ directions
    torch.testing.assert_close(
        student.bert.embeddings.position_embeddings.weight, positions, atol=1e-4, rtol=1e-3
    )


def test_narrow_embeddings_are_copied(build):
    teacher, student, _ = build(
        "electra", **{**NARROW, "hidden": 24}, init="projected", trim_vocabulary=False
    )
    assert student.config.embedding_size == 16
    assert torch.equal(student.get_input_embeddings().weight, teacher.get_input_embeddings().weight)


@pytest.mark.parametrize(("model", "width"), [("bilstm", 300), ("cnn", 128), ("static", 128)])
def test_students_that_are_not_transformers(build, tiny_task, tmp_path, model, width):
    _, student, tokenizer = build(model=model)
    assert student.config.model_type == f"kd_{model}"
    assert student.get_input_embeddings().weight.shape == (len(tokenizer), width)
    assert same(student, build(model=model)[1])
    student.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, use_safetensors=True, trust_remote_code=False
    )
    texts = tiny_task.test["text"]
    reread = AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=False)
    assert torch.equal(logits(loaded, reread, texts), logits(student, tokenizer, texts))


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_checkpoint_keeps_its_own_weights(family, build, tiny_tokenizer, tiny_teacher, tiny_task, tmp_path):
    checkpoint = tiny_teacher(family, seed=9)
    checkpoint.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    _, student, tokenizer = build("distilbert", model=str(tmp_path))
    assert student.config.model_type == family
    assert student.config.vocab_size == len(tokenizer) < len(tiny_tokenizer)
    texts = tiny_task.train["text"]
    torch.testing.assert_close(logits(student, tokenizer, texts), logits(checkpoint, tiny_tokenizer, texts))

    _, fresh, _ = build("distilbert", model=str(tmp_path), init="random")
    assert not torch.allclose(fresh.get_input_embeddings().weight, student.get_input_embeddings().weight)


@pytest.mark.parametrize("model", ["bilstm", "cnn", "static"])
def test_a_trained_network_as_the_student(build, tiny_task, tmp_path, model):
    """Its vocabulary is not trimmed, because other tables have a row for each piece too."""
    _, first, pieces = build(model=model, trim_vocabulary=False)
    first.save_pretrained(tmp_path)
    pieces.save_pretrained(tmp_path)
    _, again, tokenizer = build(model=str(tmp_path))
    texts = tiny_task.train["text"]
    torch.testing.assert_close(logits(again, tokenizer, texts), logits(first, pieces, texts))
    assert architecture(str(tmp_path)) == model
    assert other_network(str(tmp_path)) == other_network(model) != ""


@pytest.mark.parametrize("kind", ["kd_cnn", "kd_static", "kd_bilstm"])
def test_a_teacher_that_is_not_a_transformer(kind):
    config = AutoConfig.for_model(kind)
    assert resolve_init(StudentConfig(model="cnn"), config) == "random"
    with pytest.raises(ModelError, match=f"but the teacher is a {kind}; use --student-init random"):
        resolve_init(StudentConfig(model="cnn", init="teacher_vectors"), config)


@pytest.mark.parametrize(
    ("settings", "init"),
    [
        ({"model": "tiny"}, "teacher_vectors"),
        ({"model": "half"}, "teacher_layers"),
        ({"model": "third"}, "teacher_layers"),
        ({"model": "small"}, "random"),
        ({"model": "bilstm"}, "projected"),
        ({"model": "cnn"}, "teacher_vectors"),
        ({"model": "custom", "layers": 2, "hidden": 384, "heads": 12}, "teacher_layers"),
        ({"model": "custom", "layers": 7, "hidden": 384, "heads": 12}, "random"),
        ({"model": "custom", "layers": 2, "hidden": 384, "heads": 6}, "random"),
        ({"model": "some/checkpoint"}, "pretrained"),
        ({"model": "tiny", "init": "random"}, "random"),
    ],
)
def test_resolve_init(settings, init):
    assert resolve_init(StudentConfig(**settings), TEACHER) == init


def test_init_of_a_bilstm_depends_on_the_embedding_size():
    albert = AlbertConfig(hidden_size=768, embedding_size=128, num_attention_heads=12)
    assert resolve_init(StudentConfig(model="bilstm"), albert) == "random"
    assert resolve_init(StudentConfig(model="tiny"), albert) == "projected"


def test_init_of_a_cnn_depends_on_the_source():
    """Vectors have the width of the layers. Projected embeddings have the width of the embedding table."""
    albert = AlbertConfig(hidden_size=768, embedding_size=128, num_attention_heads=12)
    assert resolve_init(StudentConfig(model="cnn"), albert) == "teacher_vectors"
    assert resolve_init(StudentConfig(model="cnn", init="teacher_vectors"), albert) == "teacher_vectors"
    with pytest.raises(ModelError, match="the student is 128 wide and the teacher 128"):
        resolve_init(StudentConfig(model="cnn", init="projected"), albert)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "tiny", "init": "teacher_layers"},
            "hidden size 128 and the teacher 384. Use --student-init teacher_vectors",
        ),
        ({"model": "bilstm", "init": "teacher_layers"}, "the student is a kd_bilstm and the teacher a bert"),
        (
            {"model": "custom", "hidden": 384, "heads": 6, "init": "teacher_layers"},
            "heads 6 and the teacher 12. Use --student-init random",
        ),
        (
            {"model": "custom", "hidden": 384, "heads": 12, "intermediate": 64, "init": "teacher_layers"},
            "intermediate size 64 and the teacher 1536",
        ),
        (
            {"model": "custom", "layers": 9, "hidden": 384, "heads": 12, "init": "teacher_layers"},
            "the student has 9 layers and the teacher only 6",
        ),
        ({"model": "half", "init": "projected"}, "the student is 384 wide and the teacher 384"),
        ({"model": "half", "init": "teacher_vectors"}, "the student is 384 wide and the teacher 384"),
        (
            {"model": "bilstm", "init": "teacher_vectors"},
            "is not there for a kd_bilstm student, only for bert, roberta, distilbert, kd_cnn, "
            "kd_static. "
            "Use --student-init projected",
        ),
        (
            {"model": "tiny", "init": "pretrained"},
            "pretrained needs a checkpoint, but 'tiny' is a new student",
        ),
        ({"model": "a/b", "init": "projected"}, "'a/b' is a checkpoint; use --student-init pretrained"),
        ({"model": "no folder", "init": "random"}, "'no folder' is no model: choose cnn, static, tiny"),
    ],
)
def test_impossible_starts(settings, message):
    with pytest.raises(ModelError, match=message):
        resolve_init(StudentConfig(**settings), TEACHER)
