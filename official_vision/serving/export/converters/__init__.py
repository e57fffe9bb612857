"""Converters of a network to TFLite and ONNX files."""
