"""One synthetic study and its page, for all tests of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_study import findings_of, study_of

from sightword.study.findings import Findings
from sightword.study.page.page import write_page


@pytest.fixture(scope="session")
def found() -> Findings:
    return findings_of(study_of())


@pytest.fixture(scope="session")
def out(found: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_page(found, folder)
    return folder
