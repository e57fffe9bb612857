"""Asks a SavedModel through TensorFlow's C library alone: no Python of TensorFlow, Keras or ours.

Run as a program: c_api.py LIBRARIES FOLDER SIGNATURE INPUTS.npz OUTPUTS.npz. LIBRARIES is the folder of
libtensorflow_cc and libtensorflow_framework. Names of tensors are read from the MetaGraphDef that the
library hands over, by a reader of protobuf's wire format that knows the few fields it needs:

    MetaGraphDef.signature_def = 5 (map), SignatureDef.inputs = 1, outputs = 2 (maps),
    TensorInfo.name = 1, dtype = 2; a map's entry has key = 1, value = 2
"""

import ctypes
import sys
from pathlib import Path

import numpy as np

DTYPES = {
    1: np.float32,
    4: np.uint8,
}  # TensorFlow's numbers of the dtypes that clips and scores have


class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p)]


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def fields(message):
    """Yields (number, value) of a message; values are ints or bytes."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            value = varint()
        else:
            length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
            value = message[place : place + length]
            place += length
        yield tag >> 3, value


def mapped(message, number):
    """Returns a map field as a dict of bytes."""
    entries = [dict(fields(value)) for key, value in fields(message) if key == number]
    return {entry[1].decode(): entry[2] for entry in entries}


def tensors(signature, number):
    """Name -> (operation, output number, dtype) of a signature's inputs (1) or outputs (2)."""
    tensors_by_name = {}
    for name, info in mapped(signature, number).items():
        values = dict(fields(info))
        operation, _, index = values[1].decode().partition(":")
        tensors_by_name[name] = operation.encode(), int(index), values[2]
    return tensors_by_name


def library(folder):
    """Returns the C library; every function returns a pointer unless declared otherwise."""
    for name in ("libtensorflow_framework", "libtensorflow_cc"):
        (path,) = Path(folder).glob(f"{name}.so.?")
        loaded = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    for name in ("NewStatus", "NewGraph", "NewSessionOptions", "NewBuffer", "AllocateTensor",
                 "TensorData", "LoadSessionFromSavedModel", "GraphOperationByName"):  # fmt: skip
        getattr(loaded, f"TF_{name}").restype = ctypes.c_void_p
    loaded.TF_Message.restype = ctypes.c_char_p
    loaded.TF_TensorByteSize.restype = ctypes.c_size_t
    loaded.TF_Dim.restype = ctypes.c_int64
    return loaded


class Model:
    def __init__(self, libraries, folder):
        self.tf = library(libraries)
        self.status = ctypes.c_void_p(self.tf.TF_NewStatus())
        self.graph = ctypes.c_void_p(self.tf.TF_NewGraph())
        options = ctypes.c_void_p(self.tf.TF_NewSessionOptions())
        self.tf.TF_NewBuffer.restype = ctypes.POINTER(Buffer)
        meta, tags = self.tf.TF_NewBuffer(), (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            self.tf.TF_LoadSessionFromSavedModel(
                options, None, folder.encode(), tags, 1, self.graph, meta, self.status
            )
        )
        self.check()
        content = ctypes.string_at(meta.contents.data, meta.contents.length)
        self.signatures = mapped(content, 5)

    def check(self):
        if self.tf.TF_GetCode(self.status):
            raise RuntimeError(self.tf.TF_Message(self.status).decode())

    def outputs(self, named):
        entries = (Output * len(named))()
        for entry, (operation, index, _) in zip(entries, named, strict=True):
            entry.operation = self.tf.TF_GraphOperationByName(self.graph, operation)
            entry.index = index
        return entries

    def tensor(self, value, dtype):
        value = np.ascontiguousarray(value, DTYPES[dtype])
        shape = (ctypes.c_int64 * value.ndim)(*value.shape)
        size = ctypes.c_size_t(value.nbytes)
        tensor = self.tf.TF_AllocateTensor(dtype, shape, value.ndim, size)
        data = self.tf.TF_TensorData(ctypes.c_void_p(tensor))
        ctypes.memmove(data, value.ctypes.data, value.nbytes)
        return tensor

    def array(self, tensor, dtype):
        pointer = ctypes.c_void_p(tensor)
        shape = [self.tf.TF_Dim(pointer, axis) for axis in range(self.tf.TF_NumDims(pointer))]
        content = ctypes.string_at(
            self.tf.TF_TensorData(pointer), self.tf.TF_TensorByteSize(pointer)
        )
        return np.frombuffer(content, DTYPES[dtype]).reshape(shape)

    def run(self, signature, streams):
        """Returns the outputs of a signature that are numbers."""
        inputs = tensors(self.signatures[signature], 1)
        wanted = {k: v for k, v in tensors(self.signatures[signature], 2).items() if v[2] in DTYPES}
        fed = (ctypes.c_void_p * len(inputs))(
            *(self.tensor(streams[name], described[2]) for name, described in inputs.items())
        )
        results = (ctypes.c_void_p * len(wanted))()
        self.tf.TF_SessionRun(
            self.session, None, self.outputs(inputs.values()), fed, len(inputs),
            self.outputs(wanted.values()), results, len(wanted), None, 0, None, self.status,
        )  # fmt: skip
        self.check()
        return {
            name: self.array(result, described[2])
            for (name, described), result in zip(wanted.items(), results, strict=True)
        }


def main():
    libraries, folder, signature, inputs, outputs = sys.argv[1:]
    model = Model(libraries, folder)
    streams = dict(np.load(inputs, allow_pickle=False))
    wrong = {name: value[:, :0] for name, value in streams.items()}
    try:
        model.run(signature, wrong)
    except RuntimeError as error:
        print(f"refused: {error}")
    np.savez(outputs, **model.run(signature, streams))
    foreign = {"tensorflow", "tf_keras", "keras", "official_vision", "official"} & set(sys.modules)
    print(f"foreign: {sorted(foreign)}")


if __name__ == "__main__":
    main()
