"""The encoder: the right vectors, each distinct text once, by the fastest way the machine has."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from conftest import require_engine
from factories.tables import RECIPE, games, write_marts
from recsys.config import ContentSettings
from recsys.embedding import open_cache, open_encoder
from recsys.embedding.batches import Tokenization
from recsys.embedding.cache import VectorCache
from recsys.embedding.encoder import RECIPE_VERSION, TextEncoder
from recsys.embedding.engine import load_engine
from recsys.embedding.hardware import Hardware, cpu_flags, for_cpu_alone, nvidia_gpu, probe
from recsys.embedding.model import PINNED, ModelFolder, find_model
from recsys.embedding.plan import Plan, choose
from recsys.embedding.processors import TABLE, line_of
from recsys.errors import ConfigError, MissingExtra
from recsys.marts.text import embedding_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from recsys.embedding.plan import Engine
    from recsys.embedding.processors import Precision

PLAN = Plan("cpu", "float32", "torch", 1)
LONG = "the quick brown fox jumps over the lazy dog " * 100


class CountingEngine:
    """An engine whose vectors are made of the text's length; remembers what it was asked for."""

    def __init__(self, spoil: float = 1.0, precision: Precision = "float32") -> None:
        self.asked: list[str] = []
        self.spoil = spoil
        self.precision: Precision = precision

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yield vectors in batches of two, the last text first."""
        self.asked += texts
        places = list(range(len(texts)))[::-1]
        for start in range(0, len(places), 2):
            some = np.array(places[start : start + 2], dtype=np.intp)
            rows = np.ones((len(some), 384), dtype=np.float32)
            rows[:, 0] = [len(texts[place]) for place in some]
            yield some, rows * np.float32(self.spoil)


def counting(engine: CountingEngine, cache: VectorCache | None = None, plan: Plan = PLAN) -> TextEncoder:
    """Return an encoder around ``engine``."""
    return TextEncoder(PINNED, plan, lambda: engine, cache)


@pytest.fixture(scope="module")
def folder() -> ModelFolder:
    """Return the real model's folder."""
    return find_model()


@pytest.fixture(scope="module")
def direct(folder: ModelFolder) -> SentenceTransformer:
    """Return the model as its documentation loads it."""
    require_engine("torch")
    import torch
    from sentence_transformers import SentenceTransformer

    # Threads that share a busy machine's cores wait for each other.
    torch.set_num_threads(1)
    return SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)


def through(plan: Plan, texts: list[str]) -> NDArray[np.float32]:
    """Encode with the real model, uncached."""
    require_engine(plan.engine)
    return TextEncoder(PINNED, plan, lambda: load_engine(find_model(), plan)).encode(texts)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_vectors_equal_a_direct_call(direct: SentenceTransformer, engine: Engine) -> None:
    """Every engine, in float32: what sentence-transformers itself returns, in the order of the texts."""
    texts = ["", "Catan", LONG, "トリック", *embedding_text(games()).tolist()[:8], "a b c", LONG + "unseen"]
    vectors = through(Plan("cpu", "float32", engine, 1), texts)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, direct.encode(texts), atol=2e-6)


def test_a_model_that_sentence_transformers_saved_is_read_as_it_reads_it(folder: ModelFolder, tmp_path: Path) -> None:
    """Its length of texts, and the dimension behind a head of its own: the same vectors, scaled to length one."""
    require_engine("torch")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    trained = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
    trained.append(Dense(384, 100))
    trained.save(str(tmp_path / "saved"))
    texts = ["Catan", LONG]
    exact = trained.encode(texts, normalize_embeddings=True)
    settings = ContentSettings(
        model=str(tmp_path / "saved"), engine="torch", precision="float32", device="cpu", cache_mb=0
    )
    encoder = open_encoder(settings)
    assert encoder.dimension == 100
    np.testing.assert_allclose(encoder.encode(texts), exact, atol=2e-6)


@pytest.fixture(scope="module")
def monopolies(real_data: Path, direct: SentenceTransformer) -> tuple[list[str], NDArray[np.float32]]:
    """Return the whole texts of 150 editions of one game, and their float32 vectors.

    They lie so near each other that the tenth and the eleventh nearest differ by 0.002 in the
    median: a small error changes places, which it does not among games of all kinds.
    """
    games = pd.read_parquet(real_data / "mart_games.parquet")
    texts = embedding_text(games[games["NAME"].str.startswith("Monopoly")].head(150)).tolist()
    return texts, direct.encode(texts)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_bfloat16_keeps_the_neighbours_of_float32(
    monopolies: tuple[list[str], NDArray[np.float32]], engine: Engine
) -> None:
    """Of each real game's ten nearest by float32, at least 99% are among its ten nearest by bfloat16."""
    texts, exact = monopolies
    lower = through(Plan("cpu", "bfloat16", engine, 1), texts)
    assert not np.array_equal(lower, exact)
    assert kept(lower, exact) >= 0.99
    assert likeness(lower, exact) >= LEAST_LIKENESS


def test_a_worse_precision_would_be_noticed(
    monopolies: tuple[list[str], NDArray[np.float32]], folder: ModelFolder
) -> None:
    """What weights of 8 bits do to the vectors fails the test above, and so does a model wholly in bfloat16."""
    import torch
    from sentence_transformers import SentenceTransformer

    texts, exact = monopolies
    model = SentenceTransformer(str(folder.path), device="cpu", local_files_only=True)
    wholly = model.to(torch.bfloat16).encode(texts, convert_to_tensor=True).float().numpy()
    assert likeness(wholly, exact) < LEAST_LIKENESS
    eight_bits = exact + np.random.default_rng(0).normal(0, 0.002, exact.shape).astype(np.float32)
    assert 0.9991 < likeness(eight_bits, exact) < 0.9993, "not the error of 8 bits: mean cosine 0.9992 when measured"
    assert kept(eight_bits, exact) < 0.99


LEAST_LIKENESS = 0.99997
"""Mean cosine to float32: 0.999985 where products are bfloat16, 0.99995 where sums and norms are too."""


def likeness(vectors: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Return the mean cosine of the rows."""
    both = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors, exact)]
    return float(np.mean((both[0] * both[1]).sum(axis=1)))


def kept(vectors: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Return the share of each row's ten nearest in ``exact`` that are its ten nearest in ``vectors`` too."""
    same = [len(set(a) & set(b)) for a, b in zip(nearest(vectors), nearest(exact), strict=True)]
    return float(np.mean(same)) / 10


def nearest(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the ten nearest others of each row."""
    rows = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1)[:, :10]


def test_identical_texts_are_encoded_once() -> None:
    """Each distinct text reaches the model once; every place of it gets its vector."""
    engine = CountingEngine()
    texts = ["aaa", "b", "aaa", "cc", "b", "aaa"]
    vectors = counting(engine).encode(texts)
    assert sorted(engine.asked) == ["aaa", "b", "cc"]
    expected = np.ones((6, 384)) * [[len(text)] + [1] * 383 for text in texts]
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_no_texts_give_no_vectors() -> None:
    """An empty list is no error, and loads nothing."""
    engine = CountingEngine()
    assert counting(engine).encode([]).shape == (0, 384)
    assert engine.asked == []


def test_a_single_text_is_refused() -> None:
    """A string is a sequence of strings: its letters must not be encoded."""
    with pytest.raises(TypeError, match="given one text"):
        counting(CountingEngine()).encode("Catan")


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 0.0])
def test_vectors_without_a_direction_are_refused_and_never_cached(tmp_path: Path, spoil: float) -> None:
    """A broken engine ends the run; the cache does not remember what it said."""
    cache = VectorCache(tmp_path, 10**8)
    with pytest.raises(ValueError, match="zero or not finite"):
        counting(CountingEngine(spoil), cache).encode(["a", "b"])
    assert cache.info().vectors == 0


def test_only_new_texts_are_encoded(tmp_path: Path) -> None:
    """A second run asks the model for what the first had not seen, and returns the same bits for the rest."""
    cache = VectorCache(tmp_path, 10**8)
    first = counting(CountingEngine(), cache).encode(["aaa", "b"])
    engine = CountingEngine()
    second = counting(engine, cache).encode(["new text", "b", "aaa"])
    assert engine.asked == ["new text"]
    np.testing.assert_array_equal(second[[2, 1]], first)


def test_an_interrupted_run_keeps_what_it_encoded(tmp_path: Path) -> None:
    """Vectors reach the cache on the way, not at the end."""

    class Interrupted(CountingEngine):
        def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
            yield from itertools.islice(super().embed(texts), 1000)
            raise KeyboardInterrupt

    cache = VectorCache(tmp_path, 10**8)
    with pytest.raises(KeyboardInterrupt):
        counting(Interrupted(), cache).encode([f"text {number}" for number in range(3000)])
    assert cache.info().vectors >= 1024


@pytest.mark.parametrize(
    ("identity", "plan"),
    [
        ({"revision": "another"}, {}),
        ({"max_tokens": 128}, {}),
        ({}, {"precision": "bfloat16"}),
    ],
)
def test_another_recipe_is_another_vector(tmp_path: Path, identity: dict[str, str], plan: dict[str, str]) -> None:
    """Whatever decides a vector is part of its key: revision, maximum length, precision."""
    cache = VectorCache(tmp_path, 10**8)
    counting(CountingEngine(), cache).encode(["a"])
    engine = CountingEngine(precision=replace(PLAN, **plan).precision)  # type: ignore[arg-type]
    model = replace(PINNED, **identity)  # type: ignore[arg-type]
    TextEncoder(model, replace(PLAN, **plan), lambda: engine, cache).encode(["a"])  # type: ignore[arg-type]
    assert engine.asked == ["a"]


def test_yesterdays_key_is_todays(tmp_path: Path) -> None:
    """A vector lies under a hash of its recipe, the recipe's version included, and its text.

    Worked out here by hand. A key that changes by accident encodes every text of every user anew; a
    version that is no part of it returns what another recipe made.
    """
    cache, text = VectorCache(tmp_path, 10**8), "Catan"
    lines = "revision={}\nrecipe_version={}\nprecision={}\nmax_tokens={}"
    for number, version in enumerate((RECIPE_VERSION, "0")):
        recipe = hashlib.sha256(lines.format(PINNED.revision, version, "float32", "256").encode()).digest()
        cache.store([hashlib.sha256(recipe + text.encode()).digest()], np.full((1, 384), number + 1, dtype=np.float32))
    engine = CountingEngine()
    vectors = counting(engine, cache).encode([text])
    assert engine.asked == []
    np.testing.assert_array_equal(vectors, np.ones((1, 384)))


def test_another_engine_or_device_is_the_same_vector(tmp_path: Path) -> None:
    """It is told what runs the model, and yesterday's vectors are taken all the same: they differ in the last bits."""
    cache = VectorCache(tmp_path, 10**8)
    counting(CountingEngine(), cache).encode(["a"])
    engine = CountingEngine()
    elsewhere = counting(engine, cache, Plan("cuda:1", "float32", "openvino", 7))
    elsewhere.encode(["a"])
    assert engine.asked == []
    assert elsewhere.runs_on == {"engine": "openvino", "device": "cuda:1"}


def test_an_unloaded_model_is_loaded_when_it_is_needed_again() -> None:
    """`unload` lets go of the engine; the next text loads another one, and gets the same vector."""
    loaded: list[CountingEngine] = []

    def load() -> CountingEngine:
        loaded.append(CountingEngine())
        return loaded[-1]

    encoder = TextEncoder(PINNED, PLAN, load)
    first = encoder.encode(["abc"])
    encoder.unload()
    encoder.unload()
    np.testing.assert_array_equal(encoder.encode(["abc"]), first)
    assert len(loaded) == 2


def test_a_run_whose_texts_are_cached_imports_no_model(tmp_path: Path) -> None:
    """The whole pipeline, twice: the second run reads vectors, and neither torch nor its company is imported."""
    settings = ContentSettings(cache_dir=str(tmp_path / "cache"))
    encoder = open_encoder(settings)
    assert isinstance(encoder, TextEncoder)
    filler = TextEncoder(PINNED, encoder.plan, CountingEngine, open_cache(settings))
    filler.encode(embedding_text(games()).tolist())
    source = write_marts(tmp_path / "marts")
    quick = [part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}")]
    code = (
        "import sys; from recsys.cli import run\n"
        f"assert run(['train', '--source', {str(source)!r}, '--output', {str(tmp_path / 'models')!r},"
        f" '--set', 'content.cache_dir={settings.cache_dir}', *{quick!r}]) == 0\n"
        "print(sorted({'torch', 'sentence_transformers', 'transformers', 'tokenizers', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("budget", [256, 1000, 5000])
def test_batches_hold_every_text_once_within_their_budget(
    folder: ModelFolder, direct: SentenceTransformer, budget: int
) -> None:
    """The same token ids as sentence-transformers' own, cut at 256; the mask marks them; the longest first."""
    texts = ["word " * (number * 37 % 400) for number in range(60)]
    seen: dict[int, list[int]] = {}
    shortest = 256
    for batch in Tokenization(folder.path, 256).batches(texts, budget):
        assert batch.token_ids.size <= budget
        assert batch.token_ids.shape[1] <= shortest, "a longer text comes after a shorter one"
        shortest = batch.mask.sum(axis=1).min()
        for place, ids, mask in zip(batch.places.tolist(), batch.token_ids, batch.mask, strict=True):
            assert place not in seen
            assert mask.tolist() == sorted(mask.tolist(), reverse=True)
            seen[place] = ids[mask == 1].tolist()
    direct.max_seq_length = 256
    expected = [direct.tokenize([text])["input_ids"][0].tolist() for text in texts]
    assert [seen[place] for place in range(60)] == expected
    assert max(map(len, expected)) == 256


@pytest.mark.parametrize("workers", [2, 5])
def test_threads_that_tokenize_ahead_decide_no_batch(folder: ModelFolder, workers: int) -> None:
    """Texts of several windows: the same batches in the same order."""
    texts = ["word " * (number % 3) for number in range(2500)]
    tokenization = Tokenization(folder.path, 256)
    ahead, alone = (list(tokenization.batches(texts, 512, threads)) for threads in (workers, 1))
    assert [batch.places.tolist() for batch in ahead] == [batch.places.tolist() for batch in alone]
    assert sorted(place for batch in ahead for place in batch.places.tolist()) == list(range(2500))
    assert all(np.array_equal(a.token_ids, b.token_ids) for a, b in zip(ahead, alone, strict=True))


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_an_engine_takes_as_many_tokens_at_once_as_planned(folder: ModelFolder, engine: Engine) -> None:
    """Seven texts of full length under a budget of three come in batches of three, three and one."""
    require_engine(engine)
    plan = Plan("cpu", "float32", engine, 1, batch_tokens=3 * 256 + 255)
    batches = list(load_engine(folder, plan).embed([LONG] * 7))
    assert [len(places) for places, _ in batches] == [3, 3, 1]


AMX, XEON = Hardware(2, amx=True, avx512_bf16=True), Hardware(2, vendor="GenuineIntel", family=6, avx512_bf16=True)
ZEN_4, ZEN_3 = (Hardware(2, vendor="AuthenticAMD", family=25, avx512_bf16=there) for there in (True, False))
OLD, GPU, MAC = Hardware(2), Hardware(8, cuda=True, amx=True), Hardware(8, mps=True)


@pytest.mark.parametrize(
    ("hardware", "engines", "settings", "plan"),
    [
        (AMX, "both", {}, Plan("cpu", "bfloat16", "openvino", 2)),
        (ZEN_4, "both", {}, Plan("cpu", "bfloat16", "openvino", 2)),
        (replace(ZEN_4, family=26), "both", {}, Plan("cpu", "bfloat16", "openvino", 2)),
        (replace(ZEN_4, family=27), "both", {}, Plan("cpu", "float32", "openvino", 2)),
        (replace(ZEN_4, vendor="HygonGenuine"), "both", {}, Plan("cpu", "float32", "openvino", 2)),
        (ZEN_3, "both", {}, Plan("cpu", "float32", "openvino", 2)),
        (XEON, "both", {}, Plan("cpu", "float32", "openvino", 2)),
        (XEON, "both", {"precision": "bfloat16"}, Plan("cpu", "bfloat16", "openvino", 2)),
        (Hardware(2, avx512_bf16=True), "both", {}, Plan("cpu", "float32", "openvino", 2)),
        (AMX, "torch", {}, Plan("cpu", "bfloat16", "torch", 2)),
        (OLD, "torch", {}, Plan("cpu", "float32", "torch", 2)),
        (OLD, "both", {}, Plan("cpu", "float32", "openvino", 2)),
        (GPU, "both", {}, Plan("cuda", "float32", "torch", 8, 32768)),
        (MAC, "torch", {}, Plan("mps", "float32", "torch", 8, 32768)),
        (GPU, "both", {"batch_tokens": 4096}, Plan("cuda", "float32", "torch", 8, 4096)),
        (AMX, "torch", {"batch_tokens": 4096}, Plan("cpu", "bfloat16", "torch", 2, 4096)),
        (GPU, "both", {"device": "cpu"}, Plan("cpu", "bfloat16", "openvino", 8)),
        (AMX, "both", {"precision": "float32", "engine": "torch"}, Plan("cpu", "float32", "torch", 2)),
        (OLD, "both", {"precision": "bfloat16", "threads": 1}, Plan("cpu", "bfloat16", "openvino", 1)),
        (AMX, "openvino", {}, Plan("cpu", "bfloat16", "openvino", 2)),
        (GPU, "openvino", {}, Plan("cpu", "bfloat16", "openvino", 8)),
        (MAC, "openvino", {}, Plan("cpu", "float32", "openvino", 8)),
        (MAC, "openvino", {"engine": "openvino"}, Plan("cpu", "float32", "openvino", 8)),
        (OLD, "none", {}, Plan("cpu", "float32", "openvino", 2)),
    ],
)
def test_auto_asks_the_machine(hardware: Hardware, engines: str, settings: dict[str, str], plan: Plan) -> None:
    """A GPU where torch is there for it, in large batches; OpenVINO elsewhere.

    Bfloat16 on a CPU where it was faster when measured: what is unknown is given float32.
    """
    assert chosen(settings, hardware, engines) == plan


def chosen(settings: dict[str, str], hardware: Hardware, engines: str, *, bert: bool = True) -> Plan:
    """Return the plan on a machine where these engines are installed."""
    openvino, torch = (engines in {"both", name} for name in ("openvino", "torch"))
    return choose(ContentSettings(**settings), hardware, openvino=openvino, torch=torch, bert=bert)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hardware", "settings", "error", "words"),
    [
        (AMX, {"device": "cuda:1"}, ConfigError, "no such device"),
        (AMX, {"device": "mps"}, ConfigError, "no such device"),
        (AMX, {"engine": "openvino"}, MissingExtra, r"recsys-releases\[openvino\]"),
    ],
)
def test_what_is_named_is_taken_or_is_an_error(
    hardware: Hardware, settings: dict[str, str], error: type[Exception], words: str
) -> None:
    """Nothing named is ever replaced by something else."""
    with pytest.raises(error, match=words):
        chosen(settings, hardware, "torch")


@pytest.mark.parametrize("engines", ["openvino", "none"])
@pytest.mark.parametrize(
    ("hardware", "settings", "words"),
    [
        (AMX, {"engine": "torch"}, "content.engine = torch needs the extra 'torch'"),
        (GPU, {"engine": "torch", "device": "cuda"}, "content.engine = torch needs the extra 'torch'"),
        (GPU, {"device": "cuda"}, "content.device = cuda needs the extra 'torch'"),
        (GPU, {"device": "cuda:1"}, "content.device = cuda:1 needs the extra 'torch'"),
        (MAC, {"device": "mps"}, "content.device = mps needs the extra 'torch'"),
    ],
)
def test_what_only_torch_can_do_names_its_extra(
    hardware: Hardware, settings: dict[str, str], words: str, engines: str
) -> None:
    """The literal way and a GPU that is there are an error without torch, and never become something else."""
    with pytest.raises(MissingExtra, match=words) as caught:
        chosen(settings, hardware, engines)
    assert caught.value.extra == "torch"


def test_a_model_that_only_torch_runs_names_its_extra() -> None:
    """Said at once where OpenVINO is there; where nothing is, when a text has to be encoded: releases can be read."""
    other = {"model": "/models/other"}
    with pytest.raises(MissingExtra, match=r"content.model = /models/other is no BERT.*needs the extra 'torch'"):
        chosen(other, AMX, "openvino", bert=False)
    assert chosen(other, AMX, "none", bert=False).engine == "torch"


def test_a_gpu_that_is_passed_over_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A machine with a GPU and without torch encodes on its CPU, and the log says what the GPU needs."""
    with caplog.at_level(logging.INFO, "recsys"):
        chosen({}, GPU, "openvino")
    assert [record.getMessage() for record in caplog.records] == ["a GPU is here, and is not used"]
    caplog.clear()
    with caplog.at_level(logging.INFO, "recsys"):
        chosen({"device": "cpu"}, GPU, "openvino")
        chosen({}, OLD, "openvino")
        chosen({}, GPU, "both")
    assert not caplog.records


@pytest.fixture
def other_kind(folder: ModelFolder, tmp_path: Path) -> Path:
    """Return the folder of a model that is no BERT."""
    shutil.copytree(folder.path, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps(config | {"model_type": "mpnet"}))
    return tmp_path / "other"


def test_auto_takes_torch_for_a_model_that_openvino_does_not_run(other_kind: Path, folder: ModelFolder) -> None:
    """Another kind of model, or one with an adapter, is run by torch; a copy of the default is not."""
    require_engine("openvino")
    require_engine("torch")
    assert open_encoder(ContentSettings(model=str(folder.path), device="cpu")).plan.engine == "openvino"
    assert open_encoder(ContentSettings(model=str(other_kind), device="cpu")).plan.engine == "torch"
    shutil.copy(folder.path / "config.json", other_kind / "config.json")
    assert open_encoder(ContentSettings(model=str(other_kind), device="cpu")).plan.engine == "openvino"
    (other_kind / "adapter_config.json").write_text("{}")
    assert open_encoder(ContentSettings(model=str(other_kind), device="cpu")).plan.engine == "torch"


def test_openvino_with_another_kind_of_model_is_an_error_that_says_what_to_do(other_kind: Path) -> None:
    """It is said before anything is loaded or fetched."""
    require_engine("openvino")
    with pytest.raises(ConfigError, match=rf"{other_kind} is no BERT.*set content.engine = torch"):
        open_encoder(ContentSettings(model=str(other_kind), device="cpu", engine="openvino"))


@pytest.mark.parametrize("engines", ["both", "openvino"])
def test_openvino_on_a_gpu_is_a_contradiction(engines: str) -> None:
    """Both are named: neither gives way."""
    with pytest.raises(ConfigError, match="runs on the CPU"):
        chosen({"engine": "openvino", "device": "cuda"}, GPU, engines)


def test_the_cpu_is_asked_for_its_instruction_sets() -> None:
    """The flags of the first CPU, under the name that each architecture gives them."""
    assert cpu_flags("processor\t: 0\nflags\t\t: fpu amx_bf16 avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n") >= {
        "amx_bf16",
        "avx512_bf16",
    }
    assert cpu_flags("Features\t: fp asimd bf16\n") == {"fp", "asimd", "bf16"}
    assert cpu_flags("") == frozenset()


def test_the_cpu_is_asked_for_maker_and_family(tmp_path: Path) -> None:
    """As Linux tells them for an x86; a machine that tells neither is unknown, and no failure."""
    told = tmp_path / "cpuinfo"
    told.write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9354\n"
        "flags\t\t: fpu avx512f avx512_bf16\n\nprocessor\t: 1\nvendor_id\t: Other\ncpu family\t: 6\n"
    )
    zen_4 = probe(told)
    assert (zen_4.vendor, zen_4.family, zen_4.name) == ("AuthenticAMD", 25, "AMD EPYC 9354")
    assert line_of(zen_4).name == "AMD Zen 4 or 5 with AVX512-BF16"
    told.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\nCPU implementer\t: 0x41\n")
    arm = probe(told)
    assert (arm.vendor, arm.family) == ("", None)
    assert line_of(arm) is TABLE[-1]
    assert probe(tmp_path / "missing").family is None


@pytest.mark.parametrize(
    ("visible", "there"),
    [
        (None, True),
        ("0", True),
        ("1,0", True),
        ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", True),
        ("MIG-1/0", True),
        ("", False),
        (" ", False),
        ("-1", False),
        ("-1,0", False),
        ("NoDevFiles", False),
    ],
)
def test_hidden_gpus_are_not_there(tmp_path: Path, visible: str | None, there: bool) -> None:  # noqa: FBT001
    """`CUDA_VISIBLE_DEVICES` is read as CUDA reads it: what is hidden from torch is not chosen by `auto`."""
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "nvidiactl").touch()
    assert nvidia_gpu(environ, tmp_path / "gpus", tmp_path / "nvidiactl") is there


def test_the_hosts_gpu_is_not_the_containers(tmp_path: Path) -> None:
    """`/proc` shows the host's GPUs in every container; without the device file none can be used. Nor without a GPU."""
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "nvidiactl").touch()
    assert not nvidia_gpu({}, tmp_path / "gpus", tmp_path / "missing")
    assert not nvidia_gpu({}, tmp_path / "missing", tmp_path / "nvidiactl")
    assert not nvidia_gpu({}, tmp_path / "gpus" / "0000:01:00.0", tmp_path / "nvidiactl")


def test_a_gpu_is_there_before_torch_is() -> None:
    """Without torch a GPU is named with what it needs; a torch for CPUs alone has none."""
    assert [for_cpu_alone(version) for version in (None, "2.13.0", "2.13.0+cu130", "2.13.0+cpu")] == [False] * 3 + [
        True
    ]


def test_the_log_says_how_texts_were_encoded(caplog: pytest.LogCaptureFixture) -> None:
    """How many, how fast, and by which engine: the manifest of a slow night."""
    with caplog.at_level(logging.INFO, "recsys"):
        counting(CountingEngine()).encode(["a", "b"])
    (record,) = [record for record in caplog.records if record.getMessage() == "encoded texts"]
    event = record.recsys_keys  # type: ignore[attr-defined]
    assert (event["new"], event["cached"], event["engine"], event["precision"]) == (2, 0, "torch", "float32")
