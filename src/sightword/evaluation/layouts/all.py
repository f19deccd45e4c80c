"""Every layout that is known, the surest first. A new one is one more file and one more line here."""

from __future__ import annotations

from sightword.evaluation.layouts.aircraft import Aircraft
from sightword.evaluation.layouts.caltech101 import Caltech101
from sightword.evaluation.layouts.cars import Cars
from sightword.evaluation.layouts.cifar import Cifar
from sightword.evaluation.layouts.classfolders import ClassFolders
from sightword.evaluation.layouts.clevr import Clevr
from sightword.evaluation.layouts.clevr_questions import CLEVRQuestions
from sightword.evaluation.layouts.cub import Birds
from sightword.evaluation.layouts.dsprites import DSprites
from sightword.evaluation.layouts.dtd import Textures
from sightword.evaluation.layouts.fer2013 import Fer2013
from sightword.evaluation.layouts.filelists import FileLists
from sightword.evaluation.layouts.flickr30k import Flickr30kTokens
from sightword.evaluation.layouts.flowers import Flowers
from sightword.evaluation.layouts.food101 import Food101
from sightword.evaluation.layouts.frames import KineticsFrames, UcfFrames
from sightword.evaluation.layouts.gqa import GQA
from sightword.evaluation.layouts.gtsrb import Gtsrb
from sightword.evaluation.layouts.hateful_memes import HatefulMemes
from sightword.evaluation.layouts.idx import Idx
from sightword.evaluation.layouts.imagenet import FlatImageNet
from sightword.evaluation.layouts.karpathy import Karpathy, OwnSplits
from sightword.evaluation.layouts.kitti import Kitti
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.objectnet import ObjectNet
from sightword.evaluation.layouts.patch_camelyon import PatchCamelyon
from sightword.evaluation.layouts.pets import Pets
from sightword.evaluation.layouts.retinopathy import Retinopathy
from sightword.evaluation.layouts.scenes import EUROSAT, RESISC45
from sightword.evaluation.layouts.smallnorb import SmallNorb
from sightword.evaluation.layouts.stl10 import Stl10
from sightword.evaluation.layouts.sun397 import Sun397
from sightword.evaluation.layouts.svhn import Svhn
from sightword.evaluation.layouts.vqav2 import VQAv2
from sightword.evaluation.layouts.vtab1k import Vtab1k

LAYOUTS: tuple[Layout, ...] = (
    Vtab1k(),
    FileLists(),
    Aircraft(),
    Birds(),
    Caltech101(),
    Cars(),
    Clevr(),
    FlatImageNet(),
    Flowers(),
    Food101(),
    Karpathy(),
    OwnSplits(),
    Flickr30kTokens(),
    Kitti(),
    ObjectNet(),
    Pets(),
    Sun397(),
    Textures(),
    Cifar("cifar10"),
    Cifar("cifar100"),
    DSprites(),
    EUROSAT,
    Fer2013(),
    Gtsrb(),
    HatefulMemes(),
    Idx("fashion_mnist", "FashionMNIST/raw"),
    Idx("mnist", "MNIST/raw"),
    KineticsFrames(),
    PatchCamelyon(),
    RESISC45,
    Retinopathy(),
    SmallNorb(),
    Stl10(),
    Svhn(),
    UcfFrames(),
    VQAv2(),
    GQA(),
    CLEVRQuestions(),
    ClassFolders(),
)
