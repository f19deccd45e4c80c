"""What a pickle would have Python look up and call, found without making anything of it."""

from __future__ import annotations

import pickletools
import re
from io import BufferedReader, BytesIO

from sightword.errors import SightwordError

# Enough for dictionaries of tensors. torch's own list of what `weights_only` may call is longer: it also has
# functions that make as much memory as they are asked to.
_PLAIN = {
    "argparse.Namespace",
    "collections.Counter",
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
}
_STORAGE_OR_DTYPE = re.compile(
    r"torch\.((Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool|ComplexFloat|ComplexDouble)Storage|\w+\d+)"
)


def asked_for(stream: BufferedReader | BytesIO, pickles: int = 1) -> set[str]:
    """The dotted names that pickles look up, one pickle after the other; nothing is looked up.

    Raises:
        ValueError: when it is no pickle, or cut short.
    """
    names, texts = set[str](), [""]
    for _ in range(pickles):
        for code, value, _ in pickletools.genops(stream):
            if code.name in ("GLOBAL", "INST"):
                names.add(str(value).replace(" ", ".", 1))
            elif code.name == "STACK_GLOBAL":
                names.add(".".join(texts[-2:]))
            elif isinstance(value, str):
                texts = [texts[-1], value]
    return names


def only_plain(names: set[str], where: str) -> None:
    """See that a pickle asks for nothing but tensors and plain values.

    Raises:
        SightwordError: naming the first that it asks for beside these.
    """
    strange = sorted(n for n in names if n not in _PLAIN and not _STORAGE_OR_DTYPE.fullmatch(n))
    if strange:
        more = f" and {len(strange) - 1} more" if strange[1:] else ""
        raise SightwordError(
            f"'{where}' asks for {strange[0]}{more}, which may run code, and nothing of it was read; get the"
            " weights as safetensors, or as a file with the state_dict alone"
        )
