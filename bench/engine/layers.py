"""Each layer of quantised networks by itself: Kestrel and onnxruntime get the same bytes, those that onnxruntime makes of
an image, so that no difference is handed on from layer to layer. One line per network, and one per layer that differs."""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from compare import input_shape, smooth_image
from onnx import TensorProto, helper, numpy_helper

import onnxruntime as ort


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # Without VNNI it would otherwise multiply bytes by an instruction that saturates.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Network:
    def __init__(self, path):
        self.model = onnx.shape_inference.infer_shapes(onnx.load(path))
        graph = self.model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        values = [*graph.value_info, *graph.input, *graph.output]
        self.shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    def is_boundary(self, node):
        """Whether a node reads the bytes of activations."""
        return node.op_type == "DequantizeLinear" and node.input[0] not in self.constants

    def layer(self, quantise):
        """The nodes that make what `quantise` takes, and those that read the bytes that go in; None at the image."""
        nodes, boundaries, names = [], [], [quantise.input[0]]
        while names:
            name = names.pop()
            if name in self.constants or not name:
                continue
            node = self.makers.get(name)
            if node is None:
                return None
            if node in nodes or node in boundaries:
                continue
            if self.is_boundary(node):
                boundaries.append(node)
            else:
                nodes.append(node)
                names.extend(node.input)
        return nodes, boundaries

    def single(self, quantise, nodes, boundaries):
        """The layer as a network of one input: what goes in, in floats, one tensor behind the other."""
        constants = [c for n in [*nodes, *boundaries, quantise] for c in n.input if c in self.constants]
        constants = [self.constants[name] for name in dict.fromkeys(constants)]
        before, start = [], 0
        for index, node in enumerate(boundaries):
            shape = self.shapes[node.input[0]]
            end = start + int(np.prod(shape))
            names = {key: f"{key}_{index}" for key in ["start", "end", "shape", "part", "floats"]}
            for key, value in [("start", [start]), ("end", [end]), ("shape", shape)]:
                constants.append(numpy_helper.from_array(np.array(value, np.int64), names[key]))
            before += [
                helper.make_node("Slice", ["all", names["start"], names["end"]], [names["part"]]),
                helper.make_node("Reshape", [names["part"], names["shape"]], [names["floats"]]),
                helper.make_node("QuantizeLinear", [names["floats"], *node.input[1:]], [node.input[0]]),
                node,
            ]
            start = end
        order = {id(node): place for place, node in enumerate(self.model.graph.node)}
        body = sorted(nodes, key=lambda node: order[id(node)])
        after = helper.make_node("DequantizeLinear", [quantise.output[0], *quantise.input[1:]], ["result"])
        graph = helper.make_graph(
            [*before, *body, quantise, after],
            "layer",
            [helper.make_tensor_value_info("all", TensorProto.FLOAT, [start])],
            [helper.make_tensor_value_info("result", TensorProto.FLOAT, self.shapes[quantise.output[0]])],
            constants,
        )
        return helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)

    def dequantised(self, node, values):
        scale, zero_point = (numpy_helper.to_array(self.constants[name]) for name in node.input[1:3])
        return (values.astype(np.int32) - zero_point.astype(np.int32)).astype(np.float32) * scale


def compare(path, runner, folder):
    network = Network(path)
    graph = network.model.graph
    layers = [(node, network.layer(node)) for node in graph.node if node.op_type == "QuantizeLinear"]
    layers = [(node, *layer) for node, layer in layers if layer and layer[1]]
    wanted = list(dict.fromkeys(node.input[0] for _, _, boundaries in layers for node in boundaries))
    whole = onnx.ModelProto()
    whole.CopyFrom(network.model)
    whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted)
    running = session(whole)
    image = smooth_image(input_shape(path), seed=99)
    values = dict(zip(wanted, running.run(wanted, {running.get_inputs()[0].name: image})))
    worst, least = 0, 1.0
    for quantise, nodes, boundaries in layers:
        model = network.single(quantise, nodes, boundaries)
        parts = [network.dequantised(node, values[node.input[0]]).ravel() for node in boundaries]
        given = np.concatenate(parts)
        files = [folder / name for name in ["layer.onnx", "in.raw", "out.raw"]]
        onnx.save(model, files[0])
        given.tofile(files[1])
        command = [runner, files[0], "--input", files[1], "--output", files[2]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = np.fromfile(files[2], np.float32)
        expected = session(model).run(None, {"all": given})[0].ravel()
        scale = numpy_helper.to_array(network.constants[quantise.input[1]])
        steps = np.round(np.abs(found - expected) / scale)
        share = (steps <= 1).mean()
        worst, least = max(worst, steps.max()), min(least, share)
        if steps.max() > 0:
            ops = "+".join(dict.fromkeys(n.op_type for n in reversed(nodes) if n.op_type != "DequantizeLinear"))
            print(f"  {quantise.input[0]} ({ops}): {(steps > 0).sum()} of {steps.size} values differ, by {steps.max():.0f}")
    print(f"{path.stem}: {len(layers)} layers, at least {100 * least:.3f} % within one step, worst {worst:.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--runner", required=True, help="the example model_run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.networks:
            compare(path, arguments.runner, Path(folder))


if __name__ == "__main__":
    main()
