"""Names of object ids: the usual lists of networks, or a file of the user's."""

from __future__ import annotations

from official_vision.data.annotations.text import numbered_lines

_NONE = "none"
# The 150 classes of ADE20K's scene parsing benchmark, in its order.
_ADE20K = """wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk,
person, earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea,
mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box,
column, signboard, chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand,
path, stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee
table, toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, computer, swivel chair,
boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, booth,
television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, buffet,
poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, swimming pool, stool, barrel,
basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave, pot,
animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray,
ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag"""
# The 80 classes of COCO, in the order of their category numbers.
_COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack,
umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove,
skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple,
sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining
table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator,
book, clock, vase, scissors, teddy bear, hair drier, toothbrush"""
# Category numbers of COCO, 1 to 90, that no class has.
_COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def class_names(chosen: str) -> tuple[str, ...]:
    """Returns the names of the stored ids from 0 on.

    Args:
      chosen: ade20k ("none" and 150 names), coco ("none" and 80 names), coco_91 (the same 80 at COCO's own category
        numbers, 1 to 90), a file with a name on each line, or an empty text for none.

    Raises:
      UserError: the file can't be read.
    """
    if chosen == "ade20k":
        return (_NONE, *_split(_ADE20K))
    if chosen == "coco":
        return (_NONE, *_split(_COCO))
    if chosen == "coco_91":
        names = iter(_split(_COCO))
        numbered = (f"unused {n}" if n in _COCO_GAPS else next(names) for n in range(1, 91))
        return (_NONE, *numbered)
    return tuple(line for _, line in numbered_lines(chosen)) if chosen else ()


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]
