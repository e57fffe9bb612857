"""Files in the exact formats of the official data sets, about any videos, for tests."""

from __future__ import annotations

import csv

_CHARADES_HEADER = (
    "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
)


def write_charades(folder, train, test, num_classes=157):
    """Writes the three files; `train` and `test` map a video's id to (actions, length)."""
    lines = [f"c{number:03d} Doing thing {number}\n" for number in range(num_classes)]
    (folder / "Charades_v1_classes.txt").write_text("".join(lines))
    for split, videos in (("train", train), ("test", test)):
        with (folder / f"Charades_v1_{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_CHARADES_HEADER.split(","))
            for number, (video, (actions, length)) in enumerate(videos.items()):
                script = f'A person says "{number}", walks,\nand sits down.'
                writer.writerow(
                    [
                        video,
                        "HR43",
                        "Kitchen",
                        6,
                        7,
                        "Yes",
                        script,
                        "book;chair",
                        "He sits.",
                        actions,
                        length,
                    ]
                )
    return folder


def write_ucf101(folder, train, test, split_number=1, num_classes=101):
    """Writes classInd.txt and the two lists; `train` and `test` are (class number from 1, group, clip)."""
    names = [f"Sport{number}" for number in range(1, num_classes + 1)]
    (folder / "classInd.txt").write_bytes(
        "".join(f"{number} {name}\r\n" for number, name in enumerate(names, start=1)).encode()
    )
    for split, clips in (("train", train), ("test", test)):
        lines = []
        for number, group, clip in clips:
            name = names[number - 1]
            path = f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
            lines.append(f"{path} {number}" if split == "train" else path)
        (folder / f"{split}list0{split_number}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_moments_in_time(folder, train, validation, num_classes=339):
    """Writes the three files; `train` and `validation` are (class number, file)."""
    names = [f"doing+{number}" for number in range(num_classes)]
    lines = [f"{name},{number}\n" for number, name in enumerate(names)]
    (folder / "moments_categories.txt").write_text("".join(reversed(lines)))
    for name, clips in (("trainingSet.csv", train), ("validationSet.csv", validation)):
        rows = [f"{names[number]}/{file},{names[number]},4,0\n" for number, file in clips]
        (folder / name).write_text("".join(rows))
    return folder


def write_kinetics(folder, num_classes=400, validation=()):
    """Writes train.csv with a clip of each class, and validate.csv with (class number, youtube id)."""
    names = [f"doing thing {number:03d}" for number in range(num_classes)]
    clips = {
        "train": list(enumerate(f"train{number:06d}" for number in range(num_classes))),
        "validate": validation,
    }
    for split, rows in clips.items():
        lines = ["label,youtube_id,time_start,time_end,split,is_cc\n"]
        lines += [f'"{names[n]}",{video},5,15,{split},0\n' for n, video in rows]
        (folder / f"{split}.csv").write_text("".join(lines))
    return folder


def write_multithumos(folder, videos, num_classes=65):
    """Writes a file per class; `videos` are lists of (class number, start, end). The lists lie beside the files."""
    lines = {number: [] for number in range(num_classes)}
    for video, actions in videos.items():
        for number, start, end in actions:
            lines[number].append(f"{video} {start} {end}  \n")
    for number, of_class in lines.items():
        (folder / f"Act{number:02d}.txt").write_text("".join(of_class))
    (folder / "class_list.txt").write_text("1 Act00\n")
    return folder
