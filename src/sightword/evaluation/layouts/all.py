"""Every layout that is known, the surest first. A new one is one more file and one more line here."""

from __future__ import annotations

from sightword.evaluation.layouts.aircraft import Aircraft
from sightword.evaluation.layouts.caltech101 import Caltech101
from sightword.evaluation.layouts.cars import Cars
from sightword.evaluation.layouts.classfolders import ClassFolders
from sightword.evaluation.layouts.clevr import Clevr
from sightword.evaluation.layouts.cub import Birds
from sightword.evaluation.layouts.dtd import Textures
from sightword.evaluation.layouts.filelists import FileLists
from sightword.evaluation.layouts.flickr30k import Flickr30kTokens
from sightword.evaluation.layouts.flowers import Flowers
from sightword.evaluation.layouts.food101 import Food101
from sightword.evaluation.layouts.imagenet import FlatImageNet
from sightword.evaluation.layouts.karpathy import Karpathy, OwnSplits
from sightword.evaluation.layouts.kitti import Kitti
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.objectnet import ObjectNet
from sightword.evaluation.layouts.pets import Pets
from sightword.evaluation.layouts.sun397 import Sun397
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
    ClassFolders(),
)
