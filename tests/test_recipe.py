"""The recipe's hash says whether features may be mixed."""

from dataclasses import fields, replace

import pytest

from plusmv.core.errors import BadInput
from plusmv.features.flow import FarnebackSettings
from plusmv.features.recipe import Recipe

WEIGHTS = {"rgb": "a", "flow": "b"}


def test_every_setting_but_the_stride_changes_the_hash():
    plain = Recipe().hash(WEIGHTS)
    assert replace(Recipe(), stride=4).hash(WEIGHTS) == plain
    for setting in fields(Recipe):
        if setting.name == "stride":
            continue
        value = getattr(Recipe(), setting.name)
        others = {"flow_quantise": "none", "crops": "ten", "flow": FarnebackSettings(window=17)}
        changed = others.get(setting.name) or value + 1
        assert replace(Recipe(), **{setting.name: changed}).hash(WEIGHTS) != plain, setting.name


def test_other_weights_change_the_hash_and_their_order_does_not():
    assert Recipe().hash({"flow": "b", "rgb": "a"}) == Recipe().hash(WEIGHTS)
    assert Recipe().hash({"flow": "cross-modality from a", "rgb": "a"}) != Recipe().hash(WEIGHTS)


@pytest.mark.parametrize("stride", [0, 17])
def test_a_stride_that_skips_frames_is_refused(stride):
    with pytest.raises(BadInput, match="stride"):
        Recipe(stride=stride)
