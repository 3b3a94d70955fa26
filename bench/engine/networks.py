"""Networks of the kinds that Kestrel runs, with random weights: what is measured is how fast they are and whether engines
agree, not what they see. Batch normalisation is folded already. Each is written as floats and, quantised by onnxruntime
(unsigned activations, signed weights per channel), as `NAME_int8.onnx`; what is there already is kept."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from compare import smooth_image


class Network:
    """Nodes are appended; a tensor is known by its name, its shape is `shapes[name]`."""

    def __init__(self, shape):
        self.nodes, self.constants, self.outputs = [], [], []
        self.shapes = {"image": list(shape)}
        self.rng = np.random.default_rng(7)

    def constant(self, values):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op, inputs, shape, **attributes):
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"node_{name}", **attributes))
        self.shapes[name] = list(shape)
        return name

    def weights(self, shape, channel_axis, fan_in, gain):
        """Normal weights whose ranges differ from channel to channel, as they do after folding."""
        spread = np.ones(4, int)
        spread[channel_axis] = shape[channel_axis]
        values = self.rng.normal(0, np.sqrt(gain / fan_in), shape) * self.rng.lognormal(0, 0.3, spread)
        return self.constant(values.astype(np.float32))

    def bias(self, channels):
        return self.constant(self.rng.normal(0, 0.1, channels).astype(np.float32))

    def conv(self, x, channels, size=1, stride=1, groups=1, activation=None, gain=None):
        n, inputs, h, w = self.shapes[x]
        pad = (size - 1) // 2
        fan_in = inputs // groups * size * size
        gain = gain or (2.0 if activation else 1.0)
        weights = self.weights((channels, inputs // groups, size, size), 0, fan_in, gain)
        h, w = ((length + 2 * pad - size) // stride + 1 for length in (h, w))
        attributes = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        y = self.node("Conv", [x, weights, self.bias(channels)], [n, channels, h, w], **attributes)
        return self.activate(y, activation)

    def deconv(self, x, channels):
        n, inputs, h, w = self.shapes[x]
        weights = self.weights((inputs, channels, 4, 4), 1, inputs * 4, 2.0)
        attributes = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1] * 4}
        shape = [n, channels, 2 * h, 2 * w]
        return self.activate(self.node("ConvTranspose", [x, weights, self.bias(channels)], shape, **attributes), "Relu")

    def activate(self, x, activation):
        if activation == "Relu6":
            bounds = [self.constant(np.float32(bound)) for bound in (0, 6)]
            return self.node("Clip", [x, *bounds], self.shapes[x])
        return self.node(activation, [x], self.shapes[x]) if activation else x

    def add(self, a, b):
        return self.node("Add", [a, b], self.shapes[a])

    def concat(self, parts, axis=1):
        shape = list(self.shapes[parts[0]])
        shape[axis] = sum(self.shapes[part][axis] for part in parts)
        return self.node("Concat", parts, shape, axis=axis)

    def max_pool(self, x):
        n, c, h, w = self.shapes[x]
        attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
        return self.node("MaxPool", [x], [n, c, (h + 1) // 2, (w + 1) // 2], **attributes)

    def double(self, x):
        n, c, h, w = self.shapes[x]
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", [x, "", scales], [n, c, 2 * h, 2 * w], **attributes)

    def cut(self, x, height, width):
        n, c, _, _ = self.shapes[x]
        ends = [self.constant(np.array(values)) for values in ([0, 0], [height, width], [2, 3])]
        return self.node("Slice", [x, *ends], [n, c, height, width])

    def output(self, x, name):
        maker = next(node for node in self.nodes if x in node.output)
        maker.output[0] = name
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[x]))

    def model(self):
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shapes["image"])
        graph = helper.make_graph(self.nodes, "network", [image], self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model)
        return model


def ssdlite(side, anchors=6, classes=21):
    """SSDLite on MobileNetV2: Sandler et al., 2018."""
    b = Network([1, 3, side, side])
    x = b.conv("image", 32, 3, 2, activation="Relu6")
    taps = []
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for stage, (expansion, channels, blocks, stride) in enumerate(stages):
        for block in range(blocks):
            inputs = b.shapes[x][1]
            y = b.conv(x, inputs * expansion, activation="Relu6") if expansion > 1 else x
            if stage == 5 and block == 0:
                taps.append(y)
            y = b.conv(y, inputs * expansion, 3, stride if block == 0 else 1, inputs * expansion, "Relu6")
            y = b.conv(y, channels)
            x = b.add(x, y) if block > 0 else y
    x = b.conv(x, 1280, activation="Relu6")
    taps.append(x)
    for middle, channels in [(256, 512), (128, 256), (128, 256), (64, 128)]:
        x = b.conv(x, middle, activation="Relu6")
        x = b.conv(x, middle, 3, 2, middle, "Relu6")
        x = b.conv(x, channels, activation="Relu6")
        taps.append(x)
    for values, name in [(4, "boxes"), (classes, "logits")]:
        shape = b.constant(np.array([1, -1, values]))
        rows = []
        for tap in taps:
            channels = b.shapes[tap][1]
            y = b.conv(tap, channels, 3, 1, channels, "Relu6")
            y = b.conv(y, anchors * values)
            n, _, h, w = b.shapes[y]
            y = b.node("Transpose", [y], [n, h, w, anchors * values], perm=[0, 2, 3, 1])
            rows.append(b.node("Reshape", [y, shape], [n, h * w * anchors, values]))
        b.output(b.concat(rows), name)
    return b.model()


def resnet18_depth(height, width):
    """ResNet18 with the decoder of Monodepth2: Godard et al., 2019."""
    b = Network([1, 3, height, width])
    x = b.conv("image", 64, 7, 2, activation="Relu")
    skips = [x]
    x = b.max_pool(x)
    for stage, channels in enumerate([64, 128, 256, 512]):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            y = b.conv(x, channels, 3, stride, activation="Relu")
            y = b.conv(y, channels, 3, gain=0.5)
            shortcut = b.conv(x, channels, 1, stride, gain=0.5) if stride == 2 else x
            x = b.activate(b.add(y, shortcut), "Relu")
        skips.append(x)
    for level, channels in zip(range(4, -1, -1), [256, 128, 64, 32, 16]):
        x = b.double(b.conv(x, channels, 3, activation="Elu"))
        if level > 0:
            x = b.concat([x, skips[level - 1]])
        x = b.conv(x, channels, 3, activation="Elu")
    b.output(b.conv(x, 1, 3, activation="Sigmoid"), "disparity")
    return b.model()


ENCODER = [(16, 7), (32, 5), (64, 3), (128, 3), (256, 3), (256, 3), (256, 3)]


def dispnet(height, width):
    """DispNet as in SfMLearner, with half its channels: Zhou et al., 2017."""
    b = Network([1, 3, height, width])
    x, skips = "image", []
    for channels, size in ENCODER:
        x = b.conv(x, channels, size, 2, activation="Relu")
        x = b.conv(x, channels, size, activation="Relu")
        skips.append(x)
    for level, channels in zip(range(5, -2, -1), [256, 256, 128, 64, 32, 16, 8]):
        x = b.deconv(x, channels)
        if level >= 0:
            _, _, h, w = b.shapes[skips[level]]
            x = b.concat([x if b.shapes[x][2:] == [h, w] else b.cut(x, h, w), skips[level]])
        x = b.conv(x, channels, 3, activation="Relu")
    b.output(b.conv(x, 1, 3, activation="Sigmoid"), "disparity")
    return b.model()


def posenet(height, width):
    """PoseNet as in SfMLearner, over three images."""
    b = Network([1, 9, height, width])
    x = "image"
    for channels, size in ENCODER:
        x = b.conv(x, channels, size, 2, activation="Relu")
    x = b.conv(x, 12)
    b.output(b.node("GlobalAveragePool", [x], [1, 12, 1, 1]), "poses")
    return b.model()


NETWORKS = {
    "ssdlite_320": lambda: ssdlite(320),
    "ssdlite_512": lambda: ssdlite(512),
    "resnet18_depth_416x128": lambda: resnet18_depth(128, 416),
    "resnet18_depth_640x192": lambda: resnet18_depth(192, 640),
    "dispnet_416x128": lambda: dispnet(128, 416),
    "posenet_416x128": lambda: posenet(128, 416),
}


class Images(CalibrationDataReader):
    def __init__(self, shape, count=4):
        self.images = iter({"image": smooth_image(shape, seed)} for seed in range(count))

    def get_next(self):
        return next(self.images, None)


def quantise(source, target):
    shape = [d.dim_value for d in onnx.load(source).graph.input[0].type.tensor_type.shape.dim]
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Images(shape),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )


def main():
    folder = Path(sys.argv[1])
    for name, make in NETWORKS.items():
        floats, quantised = folder / f"{name}.onnx", folder / f"{name}_int8.onnx"
        if not floats.exists():
            onnx.save(make(), floats)
        if not quantised.exists():
            print(f"networks.py: {quantised.name}", file=sys.stderr)
            quantise(floats, quantised)


if __name__ == "__main__":
    main()
