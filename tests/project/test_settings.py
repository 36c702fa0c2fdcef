from pathlib import Path

import pytest

from cleanroom.project.settings import Settings, SettingsError, find


def test_nothing_anywhere_means_the_defaults(tmp_path: Path) -> None:
    assert find(tmp_path) == Settings()


def test_pyproject_is_found_upward(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.cleanroom]\nselect = ["left-behind"]\nignore = ["left-behind[apt]"]\nprefer = "mount"\n'
        'exclude = ["vendor/"]\ntarget = "app"\nfail-on = "info"\n'
    )
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text('[project]\nname = "cleanroom-user"\n')  # says nothing about us
    assert find(inner) == Settings(
        select=("left-behind",),
        ignore=("left-behind[apt]",),
        prefer="mount",
        exclude=("vendor/",),
        target="app",
        fail_on="info",
        file=str(tmp_path / "pyproject.toml"),
    )


def test_cleanroom_toml_goes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.cleanroom]\ntarget = "a"\n')
    (tmp_path / "cleanroom.toml").write_text('target = "b"\n')
    assert find(tmp_path).target == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('slect = ["x"]', "unknown setting 'slect'; did you mean 'select'?"),
        ("fail_on = 'info'", "unknown setting 'fail_on'; did you mean 'fail-on'?"),
        ("colour = 'no'", "unknown setting 'colour'"),
        ("select = 'left-behind'", 'select must be a list of strings, such as select = ["left-behind"]'),
        ("ignore = [1]", "ignore must be a list of strings"),
        ("fail-on = 'never'", "fail-on must be one of info, warning, error, not 'never'"),
        ("prefer = 'cleaning'", "prefer must be one of clean, prevent, mount, not 'cleaning'"),
        ("target = 1", "target must be a string"),
        ("target = ", "not TOML: "),
    ],
)
def test_what_cannot_be_used_is_said_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "cleanroom.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        find(tmp_path)
    assert str(error.value).startswith(f"{file}: {message}")


def test_a_table_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\ncleanroom = 1\n")
    with pytest.raises(SettingsError, match=r"tool\.cleanroom must be a table"):
        find(tmp_path)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "cleanroom.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"cleanroom\.toml: "):
        find(tmp_path)
