"""Every task. A new one is a room of its own and one more line here."""

from __future__ import annotations

from sightword.evaluation.corruption import Corruption
from sightword.evaluation.few_shot import FewShot
from sightword.evaluation.finetune.task import FineTune
from sightword.evaluation.knn import KNN
from sightword.evaluation.linear import Linear
from sightword.evaluation.linear_sgd import LinearSGD
from sightword.evaluation.retrieval import Retrieval
from sightword.evaluation.segmentation import Segmentation
from sightword.evaluation.task import Task
from sightword.evaluation.vqa.task import VQA
from sightword.evaluation.zeroshot import ZeroShot

TASKS: tuple[Task, ...] = (
    ZeroShot(),
    ZeroShot(synonyms=True),
    Retrieval(),
    KNN(),
    Linear(),
    LinearSGD(),
    FewShot(),
    Corruption(),
    Corruption(probe=True),
    Segmentation(),
    VQA(),
    VQA(tuned=True),
    FineTune(),
    FineTune(fresh=True),
    FineTune("deit"),
)
DEFAULT = ("zeroshot", "retrieval", "knn", "linear")
