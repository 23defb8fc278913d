"""The requirements check finds what it is for, in a small workspace made for it."""

from pathlib import Path

import pytest

from platform_cli.check_requirements import SERVICES, complaints


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """One dependency per service, all agreeing."""
    project = '[project]\nname = "{}"\ndependencies = ["aiohttp>=3"]\n'
    for member in ("libs/platform-kit", *(f"services/{service}" for service in SERVICES)):
        (tmp_path / member).mkdir(parents=True)
        (tmp_path / member / "pyproject.toml").write_text(project.format(member))
        (tmp_path / member / "requirements.txt").write_text("aiohttp==3.14.0 \\\n    --hash=sha256:00\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "root"\n[dependency-groups]\ndev = ["pytest>=9"]\n'
    )
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text("aiohttp==3.14.0 \\\npytest==9.2.0\n")
    return tmp_path


def test_files_that_agree_give_no_complaint(workspace: Path) -> None:
    assert list(complaints(workspace)) == []


def test_a_dependency_without_a_pin_is_named(workspace: Path) -> None:
    pyproject = workspace / "services" / "risk-engine" / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text().replace("aiohttp>=3", "aiohttp>=3', 'redis>=8").replace("'", '"')
    )
    found = list(complaints(workspace))
    assert any("risk-engine wants redis>=8, pinned is nothing" in complaint for complaint in found)


def test_a_pin_that_is_too_old_is_named(workspace: Path) -> None:
    pyproject = workspace / "libs" / "platform-kit" / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("aiohttp>=3", "aiohttp>=4"))
    assert any(
        "platform-kit wants aiohttp>=4, pinned is 3.14.0" in complaint for complaint in complaints(workspace)
    )


def test_versions_that_differ_between_files_are_named(workspace: Path) -> None:
    (workspace / "services" / "data-pipeline" / "requirements.txt").write_text("aiohttp==3.13.9\n")
    assert any(
        "aiohttp 3.13.9, but requirements/dev.txt has 3.14.0" in complaint
        for complaint in complaints(workspace)
    )


def test_the_generator_s_image_is_held_to_its_group(workspace: Path) -> None:
    (workspace / "loadtests").mkdir()
    (workspace / "loadtests" / "requirements.txt").write_text("aiohttp==3.13.9\n")
    root = workspace / "pyproject.toml"
    groups = '["pytest>=9", {include-group = "load"}]\nload = ["redis>=8"]'
    root.write_text(root.read_text().replace('["pytest>=9"]', groups))
    found = list(complaints(workspace))
    assert any("its group `load` wants redis>=8, pinned is nothing" in complaint for complaint in found)
    assert any("aiohttp 3.13.9, but requirements/dev.txt has 3.14.0" in complaint for complaint in found)
