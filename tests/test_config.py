"""Settings: which one wins, and what is said of a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recsys.config import Settings, load_settings
from recsys.errors import ConfigError
from recsys.settings_source import OWN_VARIABLES


def test_the_order_is_override_environment_file_default(tmp_path: Path) -> None:
    """Each place beats the ones after it."""
    file = tmp_path / "recsys.toml"
    file.write_text("[cf]\nfactors = 1\nseed = 1\niterations = 1\n")
    environ = {"RECSYS_CF__FACTORS": "2", "RECSYS_CF__SEED": "2"}
    settings = load_settings(file, ["cf.factors=3"], environ)
    assert (settings.cf.factors, settings.cf.seed, settings.cf.iterations) == (3, 2, 1)
    assert settings.data.rating_max == 10.0


def test_the_file_in_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``recsys.toml`` counts without being named; where there is none, defaults do."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).cf.seed == 42
    (tmp_path / "recsys.toml").write_text("[cf]\nseed = 7\n")
    assert load_settings(environ={}).cf.seed == 7


@pytest.mark.parametrize(
    ("overrides", "environ", "words"),
    [
        (["cf.factrs=3"], {}, ["cf.factrs (from --set): no such setting", "[cf] has factors, "]),
        (["cff.factors=3"], {}, ["cff (from --set): no such setting", "sections are source, "]),
        (["cf.factor=3"], {}, ["cf.factor (from --set)", "did you mean cf.factors?"]),
        (["gates.floor=3"], {}, ["gates (from --set)", "did you mean gate.floor?"]),
        (["gate.rating_max=3"], {}, ["gate.rating_max (from --set)", "did you mean data.rating_max?"]),
        (["cf-factors=8"], {}, ["--set 'cf-factors=8'", "such as --set cf.factors=8"]),
        ([], {"RECSYS_CF__FACTRS": "1"}, ["cf.factrs (from RECSYS_CF__FACTRS)", "did you mean cf.factors?"]),
        (["data.rating_min=5", "data.rating_max=1"], {}, ["data (from --set)", "rating_min = 5 and rating_max = 1"]),
        ([], {"RECSYS_CF__SEED": "1", "recsys_cf__seed": "2"}, ["RECSYS_CF__SEED and recsys_cf__seed", "two values"]),
        (["cf.factors=many"], {}, ["cf.factors = 'many' (from --set)", "valid integer"]),
        (["cf.factors"], {}, ["--set 'cf.factors' is not of the form section.key=value"]),
        ([], {"RECSYS_CF__SEED": "-1"}, ["cf.seed = '-1' (from RECSYS_CF__SEED)", "greater than or equal to 0"]),
        ([], {"RECSYS_CF__SED": "1"}, ["cf.sed (from RECSYS_CF__SED): no such setting"]),
        (["source.games_table=a; drop table b"], {}, ["source.games_table", "pattern"]),
        (["cf.confidence=stars"], {}, ["'stars'", "'liked'"]),
        (["cf.alpha=nan"], {}, ["cf.alpha"]),
    ],
)
def test_a_wrong_setting_is_named_with_where_it_came_from(
    overrides: list[str], environ: dict[str, str], words: list[str]
) -> None:
    """The message holds the setting, its origin, what was seen and what is possible."""
    with pytest.raises(ConfigError) as caught:
        load_settings(None, overrides, environ)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("RECSYS_CF_FACTORS", "RECSYS_CF__FACTORS"),
        ("RECSYS_CFFACTORS", "RECSYS_CF__FACTORS"),
        ("RECSYS__CF_FACTORS", "RECSYS_CF__FACTORS"),
        ("RECSYS_DATA_MIN_USERS", "RECSYS_DATA__MIN_USERS"),
        ("RECSYS_CF_FACTOR", "RECSYS_CF__FACTORS"),
        ("RECSYS_CF_FATCORS", "RECSYS_CF__FACTORS"),
        ("recsys_gate_flor", "RECSYS_GATE__FLOOR"),
        ("RECSYSCF__FACTORS", "RECSYS_CF__FACTORS"),
    ],
)
def test_a_variable_that_misspells_a_setting_is_an_error(variable: str, meant: str) -> None:
    """Other underscores, or one edit away: the message names the variable that is meant."""
    with pytest.raises(ConfigError, match=f"{variable} is no setting; {meant} is one"):
        load_settings(None, [], {variable: "3"})


@pytest.mark.parametrize(
    "variable",
    [
        "RECSYS_PORT",
        "RECSYS_PORT_80_TCP",
        "RECSYS_PORT_80_TCP_ADDR",
        "RECSYS_SERVICE_HOST",
        "RECSYS_SERVICE_PORT_HTTP",
        "RECSYS_CF_SERVICE_HOST",
        "RECSYS_VERSION",
        "RECSYS_CF",
        "RECSYS",
        *sorted(OWN_VARIABLES),
    ],
)
def test_other_variables_pass(variable: str) -> None:
    """What pods, people and our own tests put into the environment is no setting."""
    assert load_settings(None, [], {variable: "tcp://10.0.0.1:80"}) == load_settings(None, [], {})


def test_every_variable_of_ours_is_in_the_list() -> None:
    """Each ``RECSYS_…`` that code, tests or the build name is a setting, or stands in the one list."""
    root = Path(__file__).parents[1]
    files = [*root.glob("src/**/*.py"), *root.glob("tests/**/*.py"), root / "Makefile", root / ".ci" / "run"]
    texts = [file.read_text(encoding="utf-8") for file in files if file != Path(__file__)]
    named = {name for text in texts for name in re.findall(r"\bRECSYS_[A-Z]+(?:_[A-Z]+)*\b", text)}
    assert named - {"RECSYS_PORT", "RECSYS_SECTION", "RECSYS_CF_FACTORS"} == OWN_VARIABLES


def test_all_wrong_settings_are_named_at_once() -> None:
    """Nobody mends one setting to be told of the next."""
    with pytest.raises(ConfigError, match=r"data\.min_users.*cf\.factors"):
        load_settings(None, ["cf.factors=0", "data.min_users=0"], {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("cf = [", "cannot be read as TOML"),
        ("factors = 3", r"factors must stand in a table \[cf\]"),
        ("[[cf]]\nfactors = 3", r"is no table; write \[cf\] once"),
        ("[CF]\nseed = 1\n[cf]\nSeed = 2", "CF.seed and cf.Seed are the same setting; keep one"),
    ],
)
def test_a_spoilt_file_is_named(tmp_path: Path, content: str, words: str) -> None:
    """Broken TOML, and keys outside a table, are told with the file's name."""
    file = tmp_path / "odd.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load_settings(file, [], {})
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[cff]", r"cff \(from .*\): no such setting; did you mean \[cf\]\? sections are"),
        ('[cf]\n"" = 3', r"cf\. \(from .*odd.toml\)"),
    ],
)
def test_a_file_is_read_to_its_last_name(tmp_path: Path, content: str, words: str) -> None:
    """A table without a key, and a key without a name, are no settings either."""
    (tmp_path / "odd.toml").write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_settings(tmp_path / "odd.toml", [], {})


@pytest.mark.parametrize(
    ("content", "overrides", "environ", "factors"),
    [
        ("[CF]\nfactors = 64", ["cf.factors=8"], {}, 8),
        ("[cf]\nfactors = 64", ["CF.Factors=8"], {}, 8),
        ("[Cf]\nFACTORS = 64", [], {"recsys_cf__factors": "8"}, 8),
        ("[CF]\nfactors = 8\n[cf]\nseed = 1", [], {}, 8),
    ],
)
def test_names_are_taken_in_any_case_and_the_order_stays(
    tmp_path: Path, content: str, overrides: list[str], environ: dict[str, str], factors: int
) -> None:
    """``[CF]`` is the section ``[cf]``: what beats the file beats it however the file spells its names."""
    (tmp_path / "odd.toml").write_text(content)
    assert load_settings(tmp_path / "odd.toml", overrides, environ).cf.factors == factors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[cf]\nfactors = true", r"cf\.factors = True .*neither true nor false"),
        ("[data]\nrating_min = false", r"data\.rating_min = False .*neither true nor false"),
        ("[cf]\nfactors = 2026-01-01", r"cf\.factors = datetime\.date"),
        ("[cf]\nalpha = inf", r"cf\.alpha = inf .*finite"),
        ("[cf.factors]\nx = 1", r"cf\.factors = \{'x': 1\}"),
        ("[cf]\ncf.factors = 8", r"cf\.cf .*did you mean cf\.factors"),
        ("[tool.recsys.cf]\nfactors = 8", r"tool .*did you mean cf\.factors"),
        ('[source]\ngame_columns = ["A", "B"]', r"\['A', 'B'\] .*not a list: several words are one text"),
    ],
)
def test_a_value_of_another_kind_is_no_number(tmp_path: Path, content: str, words: str) -> None:
    """What TOML takes for a truth, a date, a list or a table is told as such, and never counted as 1."""
    (tmp_path / "odd.toml").write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_settings(tmp_path / "odd.toml", [], {})


def test_truths_stay_truths(tmp_path: Path) -> None:
    """Where a setting is true or false, or may be, both are taken."""
    (tmp_path / "odd.toml").write_text("[evaluation]\nnewcomers = false\n[snowflake]\nrequire_read_only = false")
    settings = load_settings(tmp_path / "odd.toml", [], {})
    assert (settings.evaluation.newcomers, settings.snowflake.require_read_only) == (False, False)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Editors on Windows write one in front of UTF-8."""
    (tmp_path / "odd.toml").write_text("[cf]\nfactors = 8\n", encoding="utf-8-sig")
    assert load_settings(tmp_path / "odd.toml", [], {}).cf.factors == 8


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    """CI systems pass on variables that nobody has set, as empty ones."""
    (tmp_path / "odd.toml").write_text("[cf]\nfactors = 8\n")
    assert load_settings(tmp_path / "odd.toml", [], {"RECSYS_CF__FACTORS": "", "RECSYS_CF_SEED": ""}).cf.factors == 8


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called ``recsys.toml`` is meant to be read: a folder, or a link that leads nowhere, is an error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recsys.toml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"recsys\.toml does not exist"):
        load_settings(environ={})


def test_settings_made_in_code_take_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ``load_settings`` reads the surroundings."""
    monkeypatch.setenv("RECSYS_CF", '{"seed": 7}')
    monkeypatch.setenv("RECSYS_CF__SEED", "7")
    assert Settings().cf.seed == 42


def test_settings_are_frozen() -> None:
    """Nothing changes them on the way down."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings(environ={}).cf.factors = 3
